// Which configurations reach the TPM without a resource manager, and which one is taken by default.
import { expect, test } from 'vitest';
import { configuredTcti, DEFAULT_TCTI, isRawTcti } from '../../src/tpm/transport/tcti.ts';

test.each([
  ['device:/dev/tpmrm0', false],
  ['device:/dev/tpmrm1', false],
  ['libtss2-tcti-device.so.0:/dev/tpmrm0', false],
  ['tabrmd', false],
  ['tabrmd:bus_type=session', false],
  ['device:/dev/tpm0', true],
  ['swtpm:path=/tmp/s', true],
  ['mssim:host=localhost,port=2321', true],
  ['cmd:socat - UNIX-CONNECT:/tmp/s', true],
])('%s raw: %s', (configuration, raw) => {
  expect(isRawTcti(configuration)).toBe(raw);
});

test('TOUCHSTONE_TCTI chooses the TPM, and empty means the kernel resource manager', () => {
  expect(configuredTcti({ TOUCHSTONE_TCTI: 'swtpm:path=/s' })).toBe('swtpm:path=/s');
  expect(configuredTcti({ TOUCHSTONE_TCTI: '' })).toBe(DEFAULT_TCTI);
  expect(configuredTcti({})).toBe('device:/dev/tpmrm0');
});
