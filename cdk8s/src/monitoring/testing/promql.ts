import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** What an expression asks for of one metric. */
export interface Selected {
  readonly metric: string;
  readonly labels: readonly string[];
}

/** What is known of an expression by its syntax alone, from the parser of Prometheus' own editor. */
export interface Parsed {
  readonly selected: readonly Selected[];
  /** Labels that anything is grouped by: at most these are left for annotations. */
  readonly grouped: readonly string[];
  readonly root: SyntaxNode;
}

/** @throws Error naming the place, if it is no PromQL */
export function parse(expr: string): Parsed {
  const root = parser.parse(expr).topNode;
  const selected: Selected[] = [];
  const grouped: string[] = [];
  const text = (node: SyntaxNode | null): string => (node === null ? '' : expr.slice(node.from, node.to));
  root.cursor().iterate(({ node }) => {
    if (node.type.isError)
      throw new Error(`no PromQL at ${node.from}: ${expr.slice(0, node.from)}<here>${expr.slice(node.from)}`);
    if (node.name === 'VectorSelector') {
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      selected.push({
        metric: text(node.getChild('Identifier')),
        labels: matchers.map((matcher) => text(matcher.getChild('LabelName'))),
      });
    }
    if (node.name === 'GroupingLabels') grouped.push(...node.getChildren('LabelName').map(text));
  });
  return { selected, grouped, root };
}

/**
 * Evaluates expressions in which nothing has more than one sample: comparisons, `and`, `or`, arithmetic, plain selectors, and sums of rates.
 * @param sampleOf the value of a selector, or of the rate of one: undefined where there is no series; NaN compares to nothing
 * @returns the value, or undefined for an empty result
 * @throws Error for anything else in PromQL
 */
export function evaluate(
  expr: string,
  { root }: Parsed,
  sampleOf: (selector: string) => number | undefined,
): number | undefined {
  const textOf = (node: SyntaxNode): string => expr.slice(node.from, node.to);
  const compute = (node: SyntaxNode): number | undefined => {
    switch (node.name) {
      case 'PromQL':
      case 'ParenExpr':
        return compute(node.firstChild as SyntaxNode);
      case 'NumberDurationLiteral':
        return Number(textOf(node));
      case 'VectorSelector':
        return sampleOf(textOf(node));
      case 'AggregateExpr': {
        const rate = /^sum by \(namespace\) \(rate\((.*)\[5m\]\)\)$/.exec(textOf(node))?.[1];
        if (rate === undefined) throw new Error(`not evaluated here: ${textOf(node)}`);
        return sampleOf(rate);
      }
      case 'BinaryExpr':
        return binary(node.firstChild as SyntaxNode, node.lastChild as SyntaxNode);
      default:
        throw new Error(`${node.name} is not evaluated here: ${textOf(node)}`);
    }
  };
  const binary = (leftNode: SyntaxNode, rightNode: SyntaxNode): number | undefined => {
    const operator = leftNode.nextSibling?.name ?? '';
    const left = compute(leftNode);
    const right = compute(rightNode);
    if (operator === 'And') return right === undefined ? undefined : left;
    if (operator === 'Or') return left ?? right;
    const arithmetic = ARITHMETIC[operator];
    if (arithmetic === undefined) throw new Error(`${operator} is not evaluated here`);
    return left === undefined || right === undefined ? undefined : arithmetic(left, right);
  };
  return compute(root);
}

/** Operators of two samples: without one of them there is no result. */
const ARITHMETIC: Readonly<Record<string, (left: number, right: number) => number | undefined>> = {
  Add: (left, right) => left + right,
  Sub: (left, right) => left - right,
  Mul: (left, right) => left * right,
  Div: (left, right) => left / right,
  Gtr: (left, right) => (left > right ? left : undefined),
};
