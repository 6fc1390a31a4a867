// Response codes: name, and the part of the command at fault.
import { expect, test } from 'vitest';
import { explainRc } from '../../src/tpm/rc.ts';
import { isRefusal, TpmResponseError } from '../../src/tpm/tpm-error.ts';

test.each([
  [0x1df, 'TPM_RC_INTEGRITY', 'parameter', 1],
  [0x2e7, 'TPM_RC_ECC_POINT', 'parameter', 2],
  [0x98e, 'TPM_RC_AUTH_FAIL', 'session', 1],
  [0xa9d, 'TPM_RC_POLICY_FAIL', 'session', 2],
  [0x18b, 'TPM_RC_HANDLE', 'handle', 1],
  [0x3e0, 'TPM_RC_TICKET', 'parameter', 3],
  [0x0a2, 'TPM_RC_BAD_AUTH', null, null],
  [0x126, 'TPM_RC_POLICY', null, null],
  [0x14a, 'TPM_RC_NV_UNINITIALIZED', null, null],
  [0x902, 'TPM_RC_OBJECT_MEMORY', null, null],
  [0x921, 'TPM_RC_LOCKOUT', null, null],
  [0x910, 'TPM_RC_REFERENCE_H0', 'handle', 1],
  [0x919, 'TPM_RC_REFERENCE_S1', 'session', 2],
  [0x01e, 'TPM_RC_BAD_TAG', null, null],
] as const)('0x%s is %s at %s %s', (rc, name, subject, index) => {
  expect(explainRc(rc)).toMatchObject({ name, subject, index, layer: 'tpm' });
});

test('a refusal by the resource manager is said to be one', () => {
  expect(explainRc(0xb0143)).toMatchObject({ name: 'TPM_RC_COMMAND_CODE', layer: 'resource manager' });
  expect(new TpmResponseError('TPM2_X', 0xb0143).message).toContain('resource manager');
});

test('every code has a name and a meaning, known or not', () => {
  for (let rc = 1; rc < 0x1000; rc += 1) {
    const { name, meaning } = explainRc(rc);
    expect(name).toMatch(/^TPM_RC_[A-Za-z0-9_]+$/);
    expect(meaning.length).toBeGreaterThan(3);
  }
});

test('a format-one code is recognised whatever part of the command it blames', () => {
  expect(isRefusal(new TpmResponseError('TPM2_X', 0x18b), 0x8b)).toBe(true);
  expect(isRefusal(new TpmResponseError('TPM2_X', 0x2cb), 0x8b)).toBe(true);
  expect(isRefusal(new TpmResponseError('TPM2_X', 0x18c), 0x8b)).toBe(false);
  expect(isRefusal(new TpmResponseError('TPM2_X', 0x14a), 0x14a)).toBe(true);
  expect(isRefusal(new Error('0x18b'), 0x8b)).toBe(false);
});
