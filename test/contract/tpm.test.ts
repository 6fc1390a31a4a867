// Every implementation of the Tpm port keeps the contract.
import { afterAll, beforeAll } from 'vitest';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { openTctiTransport } from '../../src/tpm/transport/tcti.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { tpmContract } from './tpm.ts';

let certified: SoftwareTpm;
let plain: SoftwareTpm;
beforeAll(async () => {
  [certified, plain] = await Promise.all([startSoftwareTpm(), startSoftwareTpm({ ekCertificates: false })]);
});
afterAll(async () => {
  await certified[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
});

tpmContract('the fake TPM', () => Promise.resolve(new FakeTpm()));
tpmContract('swtpm with certificates through libtss2', async () =>
  openDeviceTpm({ transport: await openTctiTransport(certified.tcti) }),
);
tpmContract('swtpm without certificates through its socket', async () =>
  openDeviceTpm({ transport: await openSocketTransport({ path: plain.socketPath }) }),
);
tpmContract('swtpm with the AK kept transient', async () =>
  openDeviceTpm({ transport: await openSocketTransport({ path: certified.socketPath }), akHandle: null }),
);
