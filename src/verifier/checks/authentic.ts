// Checks of the signature and of what was signed: is this a quote by the endorsed TPM over exactly this message?
import { shortHex } from '../../bytes/text.ts';
import { qualifyingData } from '../../evidence/binding.ts';
import { weakness } from '../attest.ts';
import type { Check, Quoted, Signed } from '../contexts.ts';
import { sameBytes } from '../same-bytes.ts';

/** TPM_GENERATED_VALUE, Part 2, 6.2: only the TPM itself puts this in front of what a restricted key signs. */
const TPM_GENERATED = 0xff544347;
/** TPM_ST_ATTEST_QUOTE, Part 2, 6.9. */
const ATTEST_QUOTE = 0x8018;

const hex16 = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

export const signedChecks: readonly Check<Signed>[] = [
  {
    name: 'algorithm-strength',
    run: ({ input, signature }, findings) => {
      const found = weakness(input.endorsement.akKey, signature);
      if (found === null) return;
      findings.add(
        'algorithm-strength',
        'none',
        'device',
        'P-256, RSA-2048, SHA-256 or stronger',
        found,
        'endorsement',
      );
    },
  },
  {
    name: 'quote-signature',
    run: ({ input, message, signature, answer }, findings) => {
      if (answer.affirms(input.endorsement.akKey, message.attest, signature)) return;
      const expected = `a signature by the attestation key ${shortHex(input.endorsement.akQualifiedName)}`;
      findings.add('quote-signature', 'none', 'device', expected, 'another, or none over these bytes', 'endorsement');
    },
  },
];

export const quotedChecks: readonly Check<Quoted>[] = [
  {
    name: 'quote-magic',
    run: ({ header }, findings) => {
      if (header.magic === TPM_GENERATED) return;
      findings.add('quote-magic', 'none', 'device', hex16(TPM_GENERATED, 8), hex16(header.magic, 8), 'endorsement');
    },
  },
  {
    name: 'quote-type',
    run: ({ header }, findings) => {
      if (header.type === ATTEST_QUOTE) return;
      findings.add('quote-type', 'none', 'device', hex16(ATTEST_QUOTE, 4), hex16(header.type, 4), 'challenge');
    },
  },
  {
    name: 'qualified-name',
    run: ({ input, header }, findings) => {
      const expected = input.endorsement.akQualifiedName;
      if (sameBytes(expected, header.qualifiedSigner)) return;
      findings.add(
        'qualified-name',
        'none',
        'device',
        shortHex(expected),
        shortHex(header.qualifiedSigner),
        'endorsement',
      );
    },
  },
  {
    name: 'qualifying-data',
    run: ({ message, header, log }, findings) => {
      const expected = qualifyingData(message.challenge, message.claims, log);
      if (sameBytes(expected, header.extraData)) return;
      findings.add('qualifying-data', 'none', 'device', shortHex(expected), shortHex(header.extraData), 'challenge');
    },
  },
];
