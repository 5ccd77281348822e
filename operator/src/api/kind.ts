import type { Static, TSchema } from '@sinclair/typebox';
import { type Rule, structural } from './schema.ts';

/** The API group of every kind of Mercato. */
export const GROUP = 'mercato.dev';
/** The one version that is served and stored. */
export const VERSION = 'v1alpha1';
/** What an object's `apiVersion` says. */
export const API_VERSION = `${GROUP}/${VERSION}` as const;
/** `kubectl get mercato` lists every kind. */
export const CATEGORY = 'mercato';

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  readonly jsonPath: string;
  readonly description: string;
  /** Columns above 0 show with `-o wide` only. */
  readonly priority?: number;
}

/** All that there is to say about a kind: its CRD, its type and its page of reference follow from this. */
export interface KindDefinition<
  Spec extends TSchema = TSchema,
  Status extends TSchema = TSchema,
  Name extends string = string,
> {
  readonly kind: Name;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  readonly spec: Spec;
  readonly status: Status;
  /** CEL rules that need the object's name. */
  readonly rules: readonly Rule[];
  readonly columns: readonly PrinterColumn[];
  /** Fields that a field selector may name, so that a watch can leave the rest on the server. */
  readonly selectableFields: readonly string[];
}

/** Keeps the literal types of what it is given. */
export function defineKind<const Name extends string, Spec extends TSchema, Status extends TSchema>(
  definition: KindDefinition<Spec, Status, Name>,
): KindDefinition<Spec, Status, Name> {
  return definition;
}

/** The metadata that this project reads and writes; the API server's own, so all that it may leave out is optional. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** An object of a kind, as the API server gives it: defaults filled in, and no status before the operator wrote one. */
export interface Resource<Definition extends KindDefinition> {
  apiVersion: typeof API_VERSION;
  kind: Definition['kind'];
  metadata: ObjectMeta;
  spec: Static<Definition['spec']>;
  status?: Static<Definition['status']>;
}

/** The name of a kind's CustomResourceDefinition, and of its file in crds/. */
export function crdName(definition: KindDefinition): string {
  return `${definition.plural}.${GROUP}`;
}

/** The CustomResourceDefinition of a kind. */
export function crdOf(definition: KindDefinition): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crdName(definition), labels: { 'app.kubernetes.io/part-of': 'mercato' } },
    spec: {
      group: GROUP,
      scope: definition.scope,
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.singular,
        shortNames: definition.shortNames,
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: definition.columns,
          ...(definition.selectableFields.length > 0 && {
            selectableFields: definition.selectableFields.map((jsonPath) => ({ jsonPath })),
          }),
          schema: { openAPIV3Schema: rootSchema(definition) },
        },
      ],
    },
  };
}

function rootSchema(definition: KindDefinition): Record<string, unknown> {
  return {
    type: 'object',
    description: definition.description,
    required: ['spec'],
    ...(definition.rules.length > 0 && { 'x-kubernetes-validations': definition.rules }),
    properties: {
      apiVersion: { type: 'string', description: 'The version of the schema of this object.' },
      kind: { type: 'string', description: 'The kind of this object.' },
      metadata: { type: 'object' },
      spec: structural(definition.spec),
      status: structural(definition.status),
    },
  };
}
