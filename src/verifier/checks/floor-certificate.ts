// Checks of the certificate of the version floors: are they what this device's TPM holds, in the index that the fleet's keys define, now?
import { shortHex, toHex } from '../../bytes/text.ts';
import { floorQualifyingData } from '../../evidence/binding.ts';
import type { RuleId } from '../../rules/catalogue.ts';
import { isSignedBy, weakness } from '../attest.ts';
import type { Check, Expected } from '../contexts.ts';
import { certifiedFloor, FLOORS_BYTES } from '../floor-certificate.ts';
import type { FloorCertificate } from '../floor-certificate.ts';
import { sameBytes } from '../same-bytes.ts';

const TPM_GENERATED = 0xff544347;
/** TPM_ST_ATTEST_NV, Part 2, 6.9. */
const ATTEST_NV = 0x8014;

/** Rules by which a certificate is not believed: the floors of such evidence are remembered by nobody. */
export const CERTIFICATE_RULES: readonly RuleId[] = ['floor-certificate', 'floor-index', 'floor-range', 'floor-claims'];

/** True when the profile has floors in the TPM; without, a certificate proves nothing that anybody asked for. */
export function hasFloors({ input }: Expected): boolean {
  return input.reference.profile.slots.some(({ floor }) => floor !== undefined);
}

/** A check of a certificate that came and could be read: `wrong` returns expected and found, or null. */
function ofCertificate(
  name: string,
  rule: RuleId,
  source: string,
  wrong: (certificate: FloorCertificate, context: Expected) => readonly [string, string] | null,
): Check<Expected> {
  return {
    name,
    run: (context, findings) => {
      if (!hasFloors(context) || context.floors.state !== 'read') return;
      const texts = wrong(context.floors.certificate, context);
      if (texts !== null) findings.add(rule, 'contraindicated', 'device', texts[0], texts[1], source);
    },
  };
}

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

export const floorCertificateChecks: readonly Check<Expected>[] = [
  {
    // Agents before this message claim their floors only. One that certified them once and stops is no old agent.
    name: 'floor-uncertified',
    run: (context, findings) => {
      const { floors, claims, input } = context;
      const claimed = claims.floors?.some(({ floor }) => floor !== null) ?? false;
      if (!hasFloors(context) || floors.state !== 'absent' || !claimed) return;
      const before = input.row.log?.floorsCertified === true;
      const expected = before ? 'floors certified by the TPM, as before' : 'floors certified by the TPM';
      const status = before ? 'contraindicated' : 'warning';
      findings.add('floor-uncertified', status, 'device', expected, 'floors that the device claims', 'profile');
    },
  },
  {
    name: 'floor-certificate-form',
    run: (context, findings) => {
      const { floors } = context;
      if (!hasFloors(context) || floors.state !== 'malformed') return;
      const expected = 'TPMS_ATTEST of an NV index and TPMT_SIGNATURE';
      findings.add('floor-certificate', 'contraindicated', 'device', expected, floors.why, 'profile');
    },
  },
  ofCertificate(
    'floor-certificate-signature',
    'floor-certificate',
    'endorsement',
    ({ attest, signature }, { input: { endorsement } }) => {
      const { akKey, akQualifiedName } = endorsement;
      if (weakness(akKey, signature) === null && isSignedBy(akKey, attest, signature)) return null;
      return [`a signature by the attestation key ${shortHex(akQualifiedName)}`, 'another, or none over these bytes'];
    },
  ),
  ofCertificate('floor-certificate-magic', 'floor-certificate', 'endorsement', ({ header }) =>
    header.magic === TPM_GENERATED ? null : [hex(TPM_GENERATED, 8), hex(header.magic, 8)],
  ),
  ofCertificate('floor-certificate-type', 'floor-certificate', 'endorsement', ({ header }) =>
    header.type === ATTEST_NV ? null : [`${hex(ATTEST_NV, 4)}, an NV index`, hex(header.type, 4)],
  ),
  ofCertificate('floor-certificate-signer', 'floor-certificate', 'endorsement', ({ header }, { input }) => {
    const expected = input.endorsement.akQualifiedName;
    return sameBytes(expected, header.qualifiedSigner) ? null : [shortHex(expected), shortHex(header.qualifiedSigner)];
  }),
  // Yesterday's.
  ofCertificate('floor-certificate-data', 'floor-certificate', 'challenge', ({ header }, { sealed }) => {
    const expected = floorQualifyingData(sealed);
    return sameBytes(expected, header.extraData) ? null : [shortHex(expected), shortHex(header.extraData)];
  }),
  // The Name covers handle, attributes, policy and size: an index that somebody else may write has another.
  ofCertificate('floor-index', 'floor-index', 'fleet', ({ indexName }, { input }) => {
    const expected = input.reference.floorIndex;
    if (expected !== undefined && sameBytes(expected, indexName)) return null;
    const index = expected === undefined ? 'an index of floor keys, of which the root names none' : toHex(expected);
    return [index, toHex(indexName)];
  }),
  // Bytes of another slot in the place of this one's.
  ofCertificate('floor-range', 'floor-range', 'profile', ({ offset, contents }) =>
    offset === 0 && contents.length === FLOORS_BYTES
      ? null
      : [`${FLOORS_BYTES} bytes from 0`, `${contents.length} bytes from ${offset}`],
  ),
  {
    name: 'floor-claims',
    run: (context, findings) => {
      const { floors, claims, input } = context;
      if (floors.state !== 'read') return;
      for (const { name, floor: number } of input.reference.profile.slots) {
        if (number === undefined) continue;
        const held = certifiedFloor(floors.certificate, number);
        const said = claims.floors?.find(({ slot }) => slot === name)?.floor ?? null;
        if (said === null || said === held) continue;
        const expected = `${held ?? 'none'} as the TPM certifies`;
        findings.add('floor-claims', 'contraindicated', name, expected, `${said} claimed`, 'endorsement');
      }
    },
  },
];
