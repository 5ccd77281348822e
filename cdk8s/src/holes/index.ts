export {
  all,
  any,
  appended,
  choose,
  concatenated,
  equals,
  isEmpty,
  isSet,
  joined,
  mergedUnder,
  not,
  onlyIf,
  optional,
  tcpPorts,
  text,
} from './expressions.ts';
export { HoleError, isHole } from './hole.ts';
