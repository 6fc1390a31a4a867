// How your own tests get a TPM of their own, with its power switch, and a broker: node --test tpm-and-broker.test.mjs
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startBroker, startSoftwareTpm } from 'touchstone/testing';

test('a software TPM has endorsement certificates, and can lose its power', async () => {
  await using tpm = await startSoftwareTpm();
  // Hand `tpm.tcti` to whatever talks with a TPM; its maker's root is what a controller would be told to trust.
  assert.match(tpm.tcti, /^swtpm:path=/);
  assert.match(await readFile(tpm.rootCertificate, 'utf8'), /BEGIN CERTIFICATE/);
  const before = tpm.pid;
  await tpm.restart({ clean: false });
  assert.notEqual(tpm.pid, before);
});

test('a broker can be frozen, restarted and killed', async () => {
  await using broker = await startBroker();
  assert.match(broker.url, /^mqtt:\/\/127\.0\.0\.1:\d+$/);
  broker.suspend();
  broker.resume();
  await broker.restart();
});
