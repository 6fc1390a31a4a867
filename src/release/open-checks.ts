// What is asked of the two signed files of a release, as two ordered lists of named checks: signatures first, contents after.
import { toHex } from '../bytes/text.ts';
import type { ReleaseRuleId } from '../rules/release-rules.ts';
import type { ReleaseFault } from './judgement.ts';
import { pathFault } from './oms-resources.ts';
import type { OmsStatement } from './oms-statement.ts';
import { unknownCritical } from './passport.ts';
import type { ReadPassport } from './passport.ts';
import type { RootStatement } from './types.ts';

export interface Check<T> {
  readonly rule: ReleaseRuleId;
  judge(subject: T): ReleaseFault[];
}

/** A signed file whose payload nobody has read yet. */
export interface SignedFile {
  readonly what: 'passport' | 'model.sig';
  readonly method: string;
  /** Ids of the publishers' keys whose signature over the payload is valid, revoked ones too. */
  readonly signedBy: readonly string[];
  /** The key that the file names, and whether it is a publisher's. */
  readonly named: string | null;
  readonly namesOurs: boolean;
}

/** Payloads that passed the checks of their signatures; null where one did not. */
export interface Contents {
  readonly passport: ReadPassport | null;
  readonly passportBy: readonly string[];
  readonly statement: OmsStatement | null;
  readonly statementBy: readonly string[];
  readonly publishers: RootStatement['publishers'];
  readonly revoked: RootStatement['revoked'];
  readonly releaseThresholds: RootStatement['releaseThresholds'] | undefined;
}

export const SIGNATURE_CHECKS: readonly Check<SignedFile>[] = [
  {
    rule: 'release-signing-method',
    judge: ({ what, method }) =>
      method === 'key'
        ? []
        : [{ rule: 'release-signing-method', expected: `${what} signed with the key of a publisher`, found: method }],
  },
  {
    // A signature that no key made: broken when it names one of ours, a stranger's otherwise.
    rule: 'release-signature',
    judge: ({ what, method, signedBy, named, namesOurs }) => {
      if (signedBy.length > 0 || method !== 'key') return [];
      const key = named ?? 'unnamed';
      return namesOurs
        ? [{ rule: 'release-signature', expected: `${what}: the signature of key ${key}`, found: 'not valid' }]
        : [{ rule: 'release-signer', expected: `${what} signed by a publisher of this fleet`, found: `key ${key}` }];
    },
  },
];

function signersOf(contents: Contents): { what: string; signedBy: readonly string[]; publishes: readonly string[] }[] {
  const modelId = contents.passport?.passport.modelId;
  if (modelId === undefined) return [];
  const publishing = new Set(contents.publishers.filter((one) => one.modelIds.includes(modelId)).map((one) => one.id));
  return [
    { what: 'passport', signedBy: contents.passportBy },
    { what: 'model.sig', signedBy: contents.statementBy },
  ].flatMap(({ what, signedBy }) =>
    signedBy.length === 0 ? [] : [{ what, signedBy, publishes: signedBy.filter((id) => publishing.has(id)) }],
  );
}

export const CONTENT_CHECKS: readonly Check<Contents>[] = [
  {
    rule: 'release-signer',
    judge: (contents) =>
      signersOf(contents)
        .filter(({ publishes }) => publishes.length === 0)
        .map(({ what, signedBy }) => ({
          rule: 'release-signer',
          expected: `${what} signed by a publisher of model ${contents.passport?.passport.modelId ?? ''}`,
          found: `key ${signedBy[0] ?? ''}, a publisher of other models`,
        })),
  },
  {
    rule: 'release-signer-revoked',
    judge: (contents) =>
      signersOf(contents).flatMap(({ what, signedBy, publishes }) => {
        const gone = contents.revoked.filter((one) => signedBy.includes(one.id));
        const [first] = gone;
        const live = publishes.some((id) => gone.every((one) => one.id !== id));
        if (first === undefined || live) return [];
        const expected = `${what} signed by a key that was not revoked`;
        return [{ rule: 'release-signer-revoked', expected, found: `key ${first.id}, revoked: ${first.reason}` }];
      }),
  },
  {
    // One stolen publisher's key, or one person who is forced or mistaken, is then not enough.
    rule: 'release-threshold',
    judge: ({ passport, passportBy, publishers, revoked, releaseThresholds = [] }) => {
      const modelId = passport?.passport.modelId ?? '';
      const asked = releaseThresholds.filter((one) => one.modelId === modelId).map((one) => one.threshold);
      const needed = Math.max(1, ...asked);
      const may = new Set(publishers.filter((one) => one.modelIds.includes(modelId)).map((one) => one.id));
      for (const { id } of revoked) may.delete(id);
      const count = new Set(passportBy.filter((id) => may.has(id))).size;
      // Not even one: said by the checks before.
      if (needed === 1 || count >= needed) return [];
      const expected = `passport signed by ${needed} different publishers of model ${modelId}`;
      return [{ rule: 'release-threshold', expected, found: String(count) }];
    },
  },
  {
    rule: 'release-critical',
    judge: ({ passport }) =>
      (passport === null ? [] : unknownCritical(passport.passport)).map((field) => ({
        rule: 'release-critical',
        expected: 'critical fields of passport version 1',
        found: field,
      })),
  },
  {
    rule: 'release-statement',
    judge: ({ passport, statement }) => {
      if (passport === null) return [];
      const expected = passport.passport.statementDigest;
      const found = [passport.subject, ...(statement === null ? [] : [toHex(statement.digest)])];
      return found
        .filter((digest) => digest !== expected)
        .map((digest) => ({ rule: 'release-statement', expected: `statement ${expected}`, found: digest }));
    },
  },
  {
    // A model of one file that the signer did not name is called as the subject is; that name must then be a safe one.
    rule: 'release-path',
    judge: ({ statement }) => {
      if (statement?.files[0]?.path !== '.') return [];
      const { name } = statement.subject;
      const why = name.includes('/') ? 'holds a slash' : pathFault(name);
      return why === null ? [] : [{ rule: 'release-path', expected: 'the name of one file', found: `${name}: ${why}` }];
    },
  },
];
