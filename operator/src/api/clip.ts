/**
 * The text, cut to at most `maxLength` characters as the API server counts them (code points), with an ellipsis where it was cut. For what others
 * wrote and a status quotes: a text beyond its limit would have the whole status refused.
 */
export function clip(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const characters = [...text];
  return characters.length <= maxLength ? text : `${characters.slice(0, maxLength - 1).join('')}…`;
}
