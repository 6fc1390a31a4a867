// Attacks on what a TPM certifies of its version floors: another index, another key, another time, other bytes.
import { generateKeyPairSync } from 'node:crypto';
import { withClaims, withProfile, laterRow } from './attack.ts';
import type { Attack } from './attack.ts';
import { akPrivate, signAttest } from './attest-builder.ts';
import { digestOf, reference } from './evidence-builder.ts';
import type { NvFields } from './attest-builder.ts';
import type { Bend } from './evidence-builder.ts';

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const withFloor = withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, floor: 0 })) });
const SEVEN = { slot: 'main', floor: 7 };

/** A device whose slot has the floor 7 in its TPM; `bend` is what the attacker does about its certificate. */
const certified = (bend: Bend): Bend => ({ input: withFloor, claims: withClaims({ floors: [SEVEN] }), ...bend });
const of = (change: Partial<NvFields>): Bend => certified({ certificate: (fields) => ({ ...fields, ...change }) });

const NAME = (text: string): Buffer => Buffer.concat([Buffer.from([0, 11]), digestOf(text)]);

/** Slot 0 has the floor 3, slot 1 the floor 7: the bytes of the one in the place of the other. */
function shifted(): Buffer {
  const contents = Buffer.alloc(56);
  contents.writeBigUInt64BE(7n);
  return contents;
}

export const floorAttacks: readonly Attack[] = [
  {
    attack: 'floors that are only claimed',
    check: 'floor-uncertified',
    rule: 'floor-uncertified',
    bend: () => certified({ certificate: () => null }),
  },
  {
    attack: 'bytes of no format in place of the certificate of the floors',
    check: 'floor-certificate-form',
    rule: 'floor-certificate',
    bend: () => certified({ certificateBytes: (one) => ({ ...one, attest: Buffer.alloc(12, 1) }) }),
  },
  {
    attack: 'floors that another device’s TPM certified',
    check: 'floor-certificate-signature',
    rule: 'floor-certificate',
    bend: () => certified({ certificateSignature: (attest) => signAttest(attest, other.privateKey) }),
  },
  {
    attack: 'floors certified over SHA-1, of which somebody found a collision',
    check: 'floor-certificate-signature',
    rule: 'floor-certificate',
    bend: () => certified({ certificateSignature: (attest) => signAttest(attest, akPrivate, 0x0004, 'sha1') }),
  },
  {
    attack: 'floors in signed bytes that no TPM generated',
    check: 'floor-certificate-magic',
    rule: 'floor-certificate',
    bend: () => of({ magic: 0xff544348 }),
  },
  {
    attack: 'another kind of attestation in place of certified floors',
    check: 'floor-certificate-type',
    rule: 'floor-certificate',
    bend: () => of({ type: 0x8018 }),
  },
  {
    attack: 'floors certified by the same key in another hierarchy',
    check: 'floor-certificate-signer',
    rule: 'floor-certificate',
    bend: () => of({ qualifiedSigner: NAME('owner') }),
  },
  {
    attack: 'the floors that were certified yesterday',
    check: 'floor-certificate-data',
    rule: 'floor-certificate',
    bend: () => of({ extraData: digestOf('yesterday') }),
  },
  {
    attack: 'another index where the floors were, written by whoever owns the TPM',
    check: 'floor-index',
    rule: 'floor-index',
    bend: () => of({ indexName: NAME('an index that its owner writes') }),
  },
  {
    attack: 'the higher floor of another slot, certified from an offset',
    check: 'floor-range',
    rule: 'floor-range',
    bend: () => of({ offset: 8, contents: shifted() }),
  },
  {
    attack: 'the first floor certified, without those of the other slots',
    check: 'floor-range',
    rule: 'floor-range',
    bend: () => of({ contents: shifted().subarray(0, 8) }),
  },
  {
    attack: 'a claim above the floor that the TPM certifies',
    check: 'floor-claims',
    rule: 'floor-claims',
    bend: () => of({ contents: Buffer.alloc(64) }),
  },
];

/** A device that certified its floors once. */
export const onceCertified: Bend = {
  claims: withClaims({ floors: [SEVEN] }),
  input: (input) => {
    const { log } = laterRow();
    const before = log === null ? null : ({ ...log, floors: [SEVEN], floorsCertified: true } as const);
    return { ...withFloor(input), row: { ...input.row, log: before } };
  },
};
