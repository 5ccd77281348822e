export { all, any, choose, equals, isSet, joined, not, text } from './expressions.ts';
export { HoleError, isHole } from './hole.ts';
