import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import {
  choice,
  flag,
  integer,
  interval,
  keyed,
  label,
  labelMap,
  list,
  MAX_INTEGER,
  moment,
  object,
  observedGeneration,
  optional,
  type Rule,
  text,
} from './schema.ts';

/** How many findings, probe results and policies a status names before it only counts. */
export const MAX_LISTED = 20;
/** The longest message of a finding or of a probe's result. */
export const MAX_FINDING_MESSAGE = 256;
/** The one address in 169.254.0.0/16 that card pods may speak to: the EKS Pod Identity agent, on port 80 (Amazon EKS user guide, "Pod Identity"). */
export const POD_IDENTITY_CIDR = '169.254.170.23/32';
/** The same for IPv6 clusters. */
export const POD_IDENTITY_CIDR_V6 = 'fd00:ec2::23/128';
/** Where every IPv4 metadata service of EC2, ECS and the other clouds lives: link-local addresses are a node's own services (RFC 3927). */
export const METADATA_CIDR = '169.254.0.0/16';
/** Where EC2's IPv6 instance metadata lives (fd00:ec2::254). */
export const METADATA_CIDR_V6 = 'fd00:ec2::/32';

/** Regular expressions do not know CIDRs, the API server does. A CIDR whose host bits are set means something else than it shows. */
const CANONICAL: Rule = {
  rule: 'isCIDR(self) && string(cidr(self).masked()) == self',
  message: 'write a CIDR whose host bits are zero, as 10.1.0.0/16 or 2001:db8::/32',
};
const NARROW: Rule = {
  rule: '!isCIDR(self) || cidr(self).prefixLength() >= (cidr(self).ip().family() == 4 ? 16 : 48)',
  message: 'name the subnets of the API server and its ClusterIP, each /16 (IPv6: /48) or narrower',
};
const ONE_ADDRESS: Rule = {
  rule: '!isCIDR(self) || cidr(self).prefixLength() == (cidr(self).ip().family() == 4 ? 32 : 128)',
  message: 'a DNS server is one address: write it with /32 (IPv6: /128), as 172.20.0.10/32',
};
const NO_METADATA: Rule = {
  rule: "!isCIDR(self) || !(cidr(self).containsIP('169.254.169.254') || cidr(self).containsIP('169.254.170.2') || cidr(self).containsIP('fd00:ec2::254'))",
  message: 'this is an instance-metadata address, which gives out credentials of the node: remove it',
};
const NO_LINK_LOCAL: Rule = {
  rule: `!isCIDR(self) || !(cidr('${METADATA_CIDR}').containsCIDR(self) || cidr('${METADATA_CIDR_V6}').containsCIDR(self) || cidr(self).containsCIDR('${METADATA_CIDR}') || cidr(self).containsCIDR('${METADATA_CIDR_V6}'))`,
  message: 'no API server has a link-local address, but instance metadata does: name the subnets of the API server',
};

const cidrText = (description: string, ...rules: readonly Rule[]) =>
  text({ description, minLength: 1, maxLength: 43, rules: [CANONICAL, ...rules] });

const pods = (description: string) =>
  object(
    {
      namespace: label({
        description: 'The namespace, by name: one peer has it and the pods, so that neither alone opens anything.',
      }),
      podLabels: labelMap({
        description: 'The pods have all of these labels. At least one: nothing is opened to a whole namespace.',
        minProperties: 1,
        maxProperties: 8,
      }),
    },
    { description },
  );

const port = object(
  {
    port: integer({
      description:
        'The port of the container. Where a Service has another one, some CNIs match that one: keep them equal.',
      minimum: 1,
      maximum: 65_535,
    }),
    protocol: choice(['TCP', 'UDP'], { description: 'The protocol.', default: 'TCP' }),
  },
  { description: 'One port.' },
);
const ports = () =>
  list(port, { description: 'The ports, each said: nothing is opened on all ports.', minItems: 1, maxItems: 8 });

const ruleName = () => label({ description: 'Names the rule, its NetworkPolicies and its findings.' });
const why = () =>
  text({
    description: 'Why the shop needs this way. For the yearly review of rules (PCI DSS 1.2.5, 1.2.7).',
    minLength: 1,
    maxLength: 256,
    form: { pattern: '[^ ]', message: 'say why this way is needed: reviewers and auditors read it' },
  });

const ingress = object(
  {
    name: ruleName(),
    from: pods('Who calls.'),
    to: pods('Who is called, in a card namespace.'),
    ports: ports(),
    why: why(),
  },
  { description: 'One way in.' },
);

const block = object(
  {
    cidr: cidrText('The addresses.'),
    except: optional(
      list(cidrText('Addresses within cidr that stay closed.'), {
        description: 'What of cidr stays closed.',
        minItems: 1,
        maxItems: 8,
      }),
    ),
  },
  {
    description: 'Addresses outside the cluster.',
    rules: [
      {
        rule: '!has(self.except) || !isCIDR(self.cidr) || self.except.all(e, !isCIDR(e) || (e != self.cidr && cidr(self.cidr).containsCIDR(e)))',
        message:
          'except names addresses that are not within cidr, or all of it: remove them, or remove the whole block',
      },
    ],
  },
);

/** CIDRs are nested or disjoint, so a block holds metadata if it lies within the range or the range lies within it. */
const clearOf = (range: string, agent: string): Rule => ({
  rule: `!has(self.to.cidrs) || self.to.cidrs.all(c, !isCIDR(c.cidr) || (cidr('${range}').containsCIDR(c.cidr) ? c.cidr == '${agent}' && self.ports.all(p, p.port == 80 && p.protocol == 'TCP') : !cidr(c.cidr).containsCIDR('${range}') || (has(c.except) && c.except.exists(e, isCIDR(e) && cidr(e).containsCIDR('${range}')))))`,
  message: `instance metadata would be reachable: add ${range} to except. Of its addresses only the Pod Identity agent is allowed, as ${agent} on port 80`,
  fieldPath: '.to',
});

const egress = object(
  {
    name: ruleName(),
    from: pods('Who calls, in a card namespace.'),
    to: object(
      {
        pods: optional(pods('Pods of the cluster.')),
        cidrs: optional(list(block, { description: 'Addresses outside the cluster.', minItems: 1, maxItems: 8 })),
      },
      {
        description: 'Who is called: exactly one of pods and cidrs.',
        rules: [{ rule: 'has(self.pods) != has(self.cidrs)', message: 'say exactly one of pods and cidrs' }],
      },
    ),
    ports: ports(),
    wide: flag({
      description:
        'Allows cidrs wider than /8 (IPv6: /32), up to the whole internet. Say it only where the other side has no fixed addresses.',
      default: false,
    }),
    why: why(),
  },
  {
    description: 'One way out.',
    rules: [
      clearOf(METADATA_CIDR, POD_IDENTITY_CIDR),
      clearOf(METADATA_CIDR_V6, POD_IDENTITY_CIDR_V6),
      {
        rule: 'self.wide || !has(self.to.cidrs) || self.to.cidrs.all(c, !isCIDR(c.cidr) || cidr(c.cidr).prefixLength() >= (cidr(c.cidr).ip().family() == 4 ? 8 : 32))',
        message:
          'cidrs wider than /8 (IPv6: /32) open most of the internet: name the addresses of the other side, or say wide: true and why',
        fieldPath: '.to',
      },
      {
        rule: '!self.wide || has(self.to.cidrs)',
        message: 'wide speaks of cidrs, and this rule has none: remove wide',
        fieldPath: '.wide',
      },
    ],
  },
);

const dns = object(
  {
    pods: optional(pods('The pods of the cluster’s DNS.')),
    cidrs: optional(
      list(cidrText('The address of a DNS server.', ONE_ADDRESS, NO_METADATA), {
        description: 'DNS servers that are no pods: node-local DNS, and the DNS of EKS Auto Mode, by the ClusterIP.',
        minItems: 1,
        maxItems: 8,
      }),
    ),
  },
  {
    description: 'How card pods reach the cluster’s DNS, on port 53 UDP and TCP. Absent: they have no DNS.',
    rules: [{ rule: 'has(self.pods) || has(self.cidrs)', message: 'say pods or cidrs or both, or remove dns' }],
  },
);

const apiServer = object(
  {
    cidrs: list(cidrText('A subnet or address of the API server.', NARROW, NO_LINK_LOCAL), {
      description:
        'Its subnets and its ClusterIP: the VPC CNI matches egress before the Service’s address is translated.',
      minItems: 1,
      maxItems: 8,
    }),
    ports: list(integer({ description: 'A TCP port.', minimum: 1, maximum: 65_535 }), {
      description: 'Its TCP ports.',
      default: [443],
      minItems: 1,
      maxItems: 4,
    }),
    pods: list(pods('Card pods that need it.'), {
      description: 'The card pods that fetch the cluster’s keys (JWKS) from it.',
      minItems: 1,
      maxItems: 16,
    }),
  },
  { description: 'How card pods reach the API server. Absent: none does.' },
);

const subject = object(
  {
    kind: choice(['User', 'Group', 'ServiceAccount'], { description: 'What it is.' }),
    name: text({ description: 'Its name.', minLength: 1, maxLength: 128 }),
    namespace: optional(label({ description: 'The namespace of a service account.' })),
    why: why(),
  },
  {
    description: 'Someone from outside who has rights in the card namespaces.',
    rules: [
      {
        rule: "has(self.namespace) == (self.kind == 'ServiceAccount')",
        message: 'give the namespace of a service account, and none for a user or group',
      },
    ],
  },
);

const probes = object(
  {
    interval: interval({
      description: 'How often every way is tried.',
      default: '10m',
      rules: [
        { rule: "duration(self) >= duration('30s')", message: 'probe every 30s at most: each round starts pods' },
      ],
    }),
    namespaces: list(label({ description: 'A namespace outside the boundary.' }), {
      description:
        'Where probes are started that try what is forbidden; the allowed ways are tried from where they are declared. Empty: nothing is probed, and Enforced stays Unknown.',
      default: [],
      maxItems: 8,
    }),
    image: optional(
      text({
        description: 'The image of the probes. Absent: the controller’s own.',
        minLength: 1,
        maxLength: 256,
        form: {
          pattern: '^[^ @]+(@sha256:[a-f0-9]{64})?$',
          message: 'give an image, best with its digest, as registry/mercato/boundary@sha256:...',
        },
      }),
    ),
  },
  { description: 'How it is proven that the CNI enforces the policies.', default: {} },
);

const spec = object(
  {
    namespaces: list(label({ description: 'A namespace.' }), {
      description: 'The card namespaces. All that runs there is in audit scope.',
      minItems: 1,
      maxItems: 16,
    }),
    ingress: keyed('name', ingress, { description: 'Who may call card pods.', default: [], maxItems: 32 }),
    egress: keyed('name', egress, { description: 'Whom card pods may call.', default: [], maxItems: 32 }),
    dns: optional(dns),
    apiServer: optional(apiServer),
    access: list(subject, {
      description:
        'Who from outside may be bound in the card namespaces. Any other subject of a RoleBinding is a finding.',
      default: [],
      maxItems: 16,
    }),
    probes,
  },
  {
    description:
      'What may reach the card namespaces and what they may reach. All else is denied, and what differs is put back: there is no mode that only watches.',
    rules: [
      {
        rule: 'self.namespaces.all(n, self.namespaces.exists_one(m, m == n))',
        message: 'a card namespace is named twice: remove one',
        fieldPath: '.namespaces',
      },
      {
        rule: 'self.ingress.all(r, r.to.namespace in self.namespaces)',
        message: 'a way in leads to a namespace that is no card namespace: add it to namespaces, or remove the rule',
        fieldPath: '.ingress',
      },
      {
        rule: 'self.egress.all(r, r.from.namespace in self.namespaces)',
        message: 'a way out starts in a namespace that is no card namespace: add it to namespaces, or remove the rule',
        fieldPath: '.egress',
      },
      {
        rule: '!has(self.apiServer) || self.apiServer.pods.all(p, p.namespace in self.namespaces)',
        message: 'apiServer names pods of a namespace that is no card namespace: remove them',
        fieldPath: '.apiServer',
      },
      {
        rule: '!self.probes.namespaces.exists(n, n in self.namespaces)',
        message: 'probes start outside the card namespaces: remove the card namespace from probes.namespaces',
        fieldPath: '.probes',
      },
    ],
  },
);

const count = (what: string) => integer({ description: what, minimum: 0, maximum: MAX_INTEGER });
const message = (what: string) => text({ description: what, maxLength: MAX_FINDING_MESSAGE });

const finding = object(
  {
    rule: text({ description: 'The rule that is broken, as in docs/pci/findings.md.', maxLength: 40 }),
    requirement: text({ description: 'The requirements of PCI DSS 4.0.1 that it maps to.', maxLength: 40 }),
    severity: choice(['Violation', 'Warning'], { description: 'Only a violation makes Compliant false.' }),
    object: text({ description: 'Where: Kind namespace/name.', maxLength: 192 }),
    message: message('What is wrong, and what to do.'),
    since: moment({ description: 'When it was first seen.' }),
  },
  { description: 'One finding.' },
);

const result = object(
  {
    from: text({ description: 'Where the probe ran: namespace and pod labels.', maxLength: 128 }),
    to: text({ description: 'What it tried to reach, with port and protocol.', maxLength: 128 }),
    expected: choice(['Open', 'Closed'], { description: 'What the boundary declares.' }),
    observed: choice(['Open', 'Closed', 'Unknown'], { description: 'What was found.' }),
    message: message('What happened, and what to do.'),
  },
  { description: 'One way that was tried.' },
);

const policy = object(
  {
    namespace: text({ description: 'Where it is.', maxLength: 63 }),
    name: text({ description: 'Its name.', maxLength: 128 }),
    hash: text({ description: 'Of its spec, so that evidence names what was in force.', maxLength: 16 }),
  },
  { description: 'A NetworkPolicy that the boundary keeps.' },
);

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    conditions: optional(conditions()),
    findings: optional(
      list(finding, { description: 'What is not as it must be, violations first.', maxItems: MAX_LISTED }),
    ),
    findingCount: optional(count('How many findings there are, also those that findings does not name.')),
    violationCount: optional(count('How many of them are violations.')),
    probes: optional(
      object(
        {
          lastTime: moment({ description: 'When a round was last finished.' }),
          passed: count('Ways that were as declared in that round.'),
          failed: count('Ways that were not, or could not be tried.'),
          results: list(result, { description: 'The failed ones first.', maxItems: MAX_LISTED }),
        },
        { description: 'What the probes found.' },
      ),
    ),
    reverted: optional(count('How often drift was put back, since the boundary was created.')),
    lastReverted: optional(moment({ description: 'When drift was last put back.' })),
    policies: optional(
      list(policy, { description: 'The policies that are kept, by namespace and name.', maxItems: MAX_LISTED }),
    ),
    policyCount: optional(count('How many policies are kept, also those that policies does not name.')),
    matrix: optional(
      object(
        {
          digest: text({
            description: 'SHA-256 of the reachability matrix, its first 16 hexadecimal digits.',
            maxLength: 16,
          }),
          ways: count('How many ways between workloads, the outside and metadata are allowed.'),
          workloads: count('How many workloads it speaks of.'),
        },
        { description: 'What may reach what, computed from the policies in force.' },
      ),
    ),
  },
  { description: 'What the boundary’s controller observed.' },
);

const conditionColumn = (name: string, description: string, priority?: number) => ({
  name,
  type: 'string' as const,
  jsonPath: `.status.conditions[?(@.type=="${name}")].status`,
  description,
  ...(priority !== undefined && { priority }),
});

/** PciBoundary: what may reach the card namespaces and what they may reach, kept and proven. */
export const pciBoundary = defineKind({
  kind: 'PciBoundary',
  plural: 'pciboundaries',
  singular: 'pciboundary',
  shortNames: ['pcib'],
  scope: 'Cluster',
  description:
    'PciBoundary says what may reach the card namespaces and what they may reach. Its controller owns the policies that allow it, puts drift back, and proves with probes that they are enforced.',
  spec,
  status,
  rules: [
    {
      rule: "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
      message: 'the names of policies begin with it: use a lower-case DNS label of at most 40 characters, without dots',
    },
  ],
  columns: [
    conditionColumn('Enforced', 'Whether probes found the policies enforced.'),
    conditionColumn('Compliant', 'Whether there is no violation.'),
    { name: 'Findings', type: 'integer', jsonPath: '.status.findingCount', description: 'What to look at.' },
    conditionColumn('Accepted', 'Whether spec could be carried out.', 1),
    { name: 'Reverted', type: 'integer', jsonPath: '.status.reverted', description: 'Drift put back.', priority: 1 },
    { name: 'Ways', type: 'integer', jsonPath: '.status.matrix.ways', description: 'Allowed ways.', priority: 1 },
    {
      name: 'Probed',
      type: 'date',
      jsonPath: '.status.probes.lastTime',
      description: 'Since the last probes.',
      priority: 1,
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: [],
});

export type PciBoundary = Resource<typeof pciBoundary>;
export type PciBoundarySpec = Static<typeof spec>;
export type PciBoundaryStatus = Static<typeof status>;
export type PciIngress = Static<typeof ingress>;
export type PciEgress = Static<typeof egress>;
export type PciPods = PciIngress['from'];
export type PciPort = Static<typeof port>;
export type PciBlock = Static<typeof block>;
export type PciSubject = Static<typeof subject>;
export type PciFinding = Static<typeof finding>;
export type PciProbeResult = Static<typeof result>;
