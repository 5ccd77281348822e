import { GROUP, type KindDefinition, type Resource as ObjectOf, VERSION } from '../api/kind.ts';
import { type Resource, resource } from './resource.ts';

/** A kind of ours as the client addresses it: what its definition says, said once. */
export function resourceOfKind<Definition extends KindDefinition>(
  definition: Definition,
): Resource<ObjectOf<Definition>> {
  const { kind, plural, scope } = definition;
  return resource({ group: GROUP, version: VERSION, kind, plural, namespaced: scope === 'Namespaced' });
}
