// Releases whose signatures are missing, forged, a stranger's, or about something else.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toBase64, toHex } from '../../src/bytes/text.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import {
  handStatement,
  other,
  publisher,
  revoked,
  signAgain,
  signPassport,
  stranger,
  trustOf,
} from '../release/publisher.ts';
import { edited, one, parsed, planned } from './bad-release.ts';
import type { BadRelease } from './bad-release.ts';

type Json = Readonly<Record<string, unknown>>;

function changeJson(path: string, change: (value: Json) => Json): void {
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')) as Json)));
}

const FORGED = toBase64(Buffer.alloc(70, 7));

export const BADLY_SIGNED: readonly BadRelease[] = [
  {
    name: 'without any signature',
    ...parsed('release-unsigned'),
    make: edited((folder) => {
      rmSync(join(folder, 'model.sig'));
      rmSync(join(folder, 'passport.json'));
    }),
  },
  {
    name: 'without a passport',
    ...parsed('release-unsigned'),
    make: edited((folder) => {
      rmSync(join(folder, 'passport.json'));
    }),
  },
  {
    name: 'without a model signature',
    ...parsed('release-unsigned'),
    make: edited((folder) => {
      rmSync(join(folder, 'model.sig'));
    }),
  },
  {
    name: 'whose passport and signature are noise',
    ...parsed('release-malformed'),
    make: edited((folder) => {
      writeFileSync(join(folder, 'passport.json'), '{"payload":');
      writeFileSync(join(folder, 'model.sig'), Buffer.from([0xff, 0xfe]));
    }),
  },
  {
    name: 'whose passport has a forged signature in the publisher’s name',
    ...one('signature', 'release-signature'),
    make: edited((folder) => {
      changeJson(join(folder, 'passport.json'), (envelope) => ({
        ...envelope,
        signatures: [{ ...(envelope['signatures'] as Json[])[0], sig: FORGED }],
      }));
    }),
  },
  {
    name: 'whose model signature is another publisher’s word for other bytes',
    ...one('signature', 'release-signature'),
    make: edited((folder) => {
      changeJson(join(folder, 'model.sig'), (bundle) => ({
        ...bundle,
        dsseEnvelope: { ...(bundle['dsseEnvelope'] as Json), signatures: [{ sig: FORGED, keyid: '' }] },
      }));
    }),
  },
  {
    name: 'signed by a stranger',
    rules: ['release-signer'],
    check: { stage: 'signature', rule: 'release-signature' },
    make: planned({ key: stranger }),
  },
  {
    name: 'signed with a certificate in place of the key',
    ...one('signature', 'release-signing-method'),
    make: edited((folder) => {
      changeJson(join(folder, 'model.sig'), (bundle) => ({
        ...bundle,
        verificationMaterial: { x509CertificateChain: { certificates: [{ rawBytes: 'AAAA' }] }, tlogEntries: [] },
      }));
    }),
  },
  {
    name: 'signed by the publisher of other models',
    ...one('content', 'release-signer'),
    make: planned({ key: other }),
  },
  {
    name: 'signed with a key that was revoked',
    ...one('content', 'release-signer-revoked'),
    make: planned({ key: revoked }),
  },
  {
    name: 'whose model was signed with a key that was revoked',
    ...one('content', 'release-signer-revoked'),
    make: planned({ sigKey: revoked }),
  },
  {
    name: 'signed by one publisher where the root asks for two',
    ...one('content', 'release-threshold'),
    make: planned({}),
    device: { trust: trustOf({ releaseThresholds: [{ modelId: 'lane-keeper', threshold: 2 }] }) },
  },
  {
    name: 'that needs a version which understands more',
    ...one('content', 'release-critical'),
    make: planned({ passport: { crit: ['quantumSignature'] } }),
  },
  {
    name: 'whose passport speaks of another statement about the same files',
    ...one('content', 'release-statement'),
    make: async (folder, pool) => {
      const made = await planned({})(folder, pool);
      const said = { ...made.passport, statementDigest: 'cd'.repeat(32) };
      const signed = signPassport(said, [publisher]);
      writeFileSync(join(folder, 'passport.json'), signed.bytes);
      return { ...made, id: signed.id };
    },
  },
  {
    name: 'whose one nameless file is called by a path',
    ...one('content', 'release-path'),
    make: async (folder, pool) => {
      const made = await planned({ files: { 'a/b': 'x' } })(folder, pool);
      const digest = toHex(sha256(Buffer.from('x')));
      const subject = [{ name: 'a/b', digest: { sha256: toHex(sha256(Buffer.from(digest, 'hex'))) } }];
      const payload = handStatement({ resources: [{ name: '.', digest, algorithm: 'sha256' }], subject });
      return signAgain(made, payload);
    },
  },
];
