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
 * Evaluates what burn-rate alerts are made of: comparisons, `and`, `or`, products of numbers, and plain selectors, each with one sample.
 * @param sampleOf a metric's value; NaN stands for none to compare with
 * @returns the value, or undefined for an empty result
 * @throws Error for anything else in PromQL
 */
export function evaluate(expr: string, { root }: Parsed, sampleOf: (metric: string) => number): number | undefined {
  const compute = (node: SyntaxNode): number | undefined => {
    const text = expr.slice(node.from, node.to);
    switch (node.name) {
      case 'PromQL':
      case 'ParenExpr':
        return compute(node.firstChild as SyntaxNode);
      case 'NumberDurationLiteral':
        return Number(text);
      case 'VectorSelector':
        return sampleOf(text.replace(/\{.*$/, ''));
      case 'BinaryExpr':
        return binary(node.firstChild as SyntaxNode, node.lastChild as SyntaxNode);
      default:
        throw new Error(`${node.name} is not evaluated here: ${text}`);
    }
  };
  const binary = (leftNode: SyntaxNode, rightNode: SyntaxNode): number | undefined => {
    const operator = leftNode.nextSibling?.name;
    const left = compute(leftNode);
    const right = compute(rightNode);
    if (operator === 'And') return right === undefined ? undefined : left;
    if (operator === 'Or') return left ?? right;
    if (left === undefined || right === undefined) return undefined;
    if (operator === 'Mul') return left * right;
    if (operator === 'Gtr') return left > right ? left : undefined;
    throw new Error(`${operator} is not evaluated here`);
  };
  return compute(root);
}
