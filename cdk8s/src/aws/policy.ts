import type { Json, JsonMap } from './policy-json.ts';

/** One statement of an IAM policy. */
export interface Statement extends JsonMap {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: readonly string[];
}

export const policy = (...statements: readonly Statement[]): Json => ({
  Version: '2012-10-17',
  Statement: statements,
});

/** Refuses requests without TLS, whoever makes them and whatever else allows them. */
export const onlyWithTls = (resource: string, ...actions: readonly string[]): Statement => ({
  Sid: 'OnlyWithTls',
  Effect: 'Deny',
  Principal: '*',
  Action: actions,
  Resource: resource,
  Condition: { Bool: { 'aws:SecureTransport': 'false' } },
});

/** A name as a statement's Sid, which takes letters and digits only. */
export const sid = (...words: readonly string[]): string =>
  words
    .flatMap((word) => word.split(/[^A-Za-z0-9]+/))
    .filter((word) => word !== '')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
