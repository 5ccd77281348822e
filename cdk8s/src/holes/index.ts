export {
  all,
  any,
  appended,
  choose,
  equals,
  isEmpty,
  isSet,
  joined,
  mergedUnder,
  not,
  tcpPorts,
  text,
} from './expressions.ts';
export { HoleError, isHole } from './hole.ts';
