// Policies on a real software TPM: what was computed without a TPM is what the TPM computes, and each condition holds.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/digest.ts';
import { password } from '../../src/tpm/commands/authorization.ts';
import { nvDefine, nvIncrement, nvRead, nvReadPublic, nvUndefine, nvWrite } from '../../src/tpm/commands/nv.ts';
import { create, flushContext, load, loadExternal, unseal } from '../../src/tpm/commands/objects.ts';
import { pcrExtend, pcrRead, pcrReset } from '../../src/tpm/commands/pcr.ts';
import {
  policyAuthorize,
  policyAuthorizeNv,
  policyCommandCode,
  policyCpHash,
  policyGetDigest,
  policyNv,
  policyNvWritten,
  policyPcr,
  policySecret,
  policySigned,
} from '../../src/tpm/commands/policy.ts';
import { verifySignature } from '../../src/tpm/commands/signing.ts';
import type { CommandQueue } from '../../src/tpm/queue.ts';
import type { Session } from '../../src/tpm/sessions/session.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { TPM_ALG, TPM_CC, TPM_EO, TPM_RH, TPMA_NV, TPMA_OBJECT } from '../../src/tpm/wire/constants.ts';
import { handleName, nvName, objectName } from '../../src/tpm/wire/names.ts';
import { approvalMessage, nvWriteCpHash, PolicyDigest } from '../../src/tpm/wire/policy-digest.ts';
import type { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { signingKeyPublic, tpmSignature } from '../../src/tpm/wire/signing-key.ts';
import type { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { EK_TEMPLATES, SEALED_TEMPLATE, SRK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { closeUnleaked, openQueue, withPrimary } from '../support/tpm-bench.ts';

const INDEX = 0x01800099;
const OWNER = { authHandle: TPM_RH.OWNER };
const PCR_23 = [{ hash: TPM_ALG.SHA256, pcrs: [23] }];
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const authorityArea = signingKeyPublic(authority.publicKey);
const authorityName = objectName(authorityArea);
const policyRef = Buffer.from('what it is for');

let software: SoftwareTpm;
let tpm: CommandQueue;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tpm = await openQueue(software);
  await pcrReset(tpm, 23);
});
afterEach(async () => {
  const left = await nvReadPublic(tpm, INDEX).catch(() => null);
  if (left !== null) await nvUndefine(tpm, left);
  await closeUnleaked(tpm);
});

function signed(message: Uint8Array): TpmtSignature {
  return tpmSignature(sign('sha256', message, { key: authority.privateKey, dsaEncoding: 'ieee-p1363' }));
}

/** An ordinary index that the owner reads and writes, with 8 bytes of contents. */
async function ordinary(value: bigint, extra = 0): Promise<Buffer> {
  const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA | extra;
  const publicArea = {
    nvIndex: INDEX,
    nameAlg: TPM_ALG.SHA256,
    attributes,
    authPolicy: Buffer.alloc(0),
    dataSize: 8,
  };
  await nvDefine(tpm, publicArea);
  const contents = Buffer.alloc(8);
  contents.writeBigUInt64BE(value);
  await nvWrite(tpm, INDEX, contents, OWNER);
  return (await nvReadPublic(tpm, INDEX)).name;
}

const number = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};

/** Meets `conditions` in a session of the kind and gives its digest. */
async function digestAfter(
  conditions: (session: Session) => Promise<void>,
  kind: 'policy' | 'trial' = 'policy',
): Promise<Buffer> {
  await using session = await startSession(tpm, { kind });
  await conditions(session);
  return await policyGetDigest(tpm, session.handle);
}

describe('the digest computed without a TPM is the TPM’s for', () => {
  test('PolicyPCR', async () => {
    await pcrExtend(tpm, 23, TPM_ALG.SHA256, randomBytes(32));
    const values = await pcrRead(tpm, TPM_ALG.SHA256, [23]);
    const told = await digestAfter(async ({ handle }) => policyPcr(tpm, handle, PCR_23));
    expect(new PolicyDigest().pcr(PCR_23, values).bytes).toEqual(told);
  });

  test('PolicyNV with offset and every comparison that holds', async () => {
    const indexName = await ordinary(0x0000_0001_0000_0005n);
    const index = { handle: INDEX, name: indexName };
    for (const [operation, operand, offset] of [
      [TPM_EO.EQ, number(0x0000_0001_0000_0005n), 0],
      [TPM_EO.UNSIGNED_LT, Buffer.from('00000006', 'hex'), 4],
      [TPM_EO.UNSIGNED_GE, Buffer.from('00000001', 'hex'), 0],
      [TPM_EO.UNSIGNED_LE, Buffer.from('00000005', 'hex'), 4],
    ] as const) {
      const told = await digestAfter(async ({ handle }) =>
        policyNv(tpm, handle, { authHandle: index, index, operand, operation, offset }),
      );
      expect(new PolicyDigest().nv({ indexName, operand, operation, offset }).bytes).toEqual(told);
    }
  });

  test('PolicyCommandCode, PolicyCpHash and PolicyNvWritten, one upon the other', async () => {
    const told = await digestAfter(async ({ handle }) => {
      await policyCommandCode(tpm, handle, TPM_CC.NV_Write);
      await policyNvWritten(tpm, handle, false);
    });
    expect(new PolicyDigest().commandCode(TPM_CC.NV_Write).nvWritten(false).bytes).toEqual(told);
    const cpHash = randomBytes(32);
    expect(new PolicyDigest().cpHash(cpHash).bytes).toEqual(
      await digestAfter(async ({ handle }) => policyCpHash(tpm, handle, cpHash)),
    );
  });

  test('PolicySigned by a key, with the nonce of the session', async () => {
    const key = await loadExternal(tpm, authorityArea);
    const told = await digestAfter(async ({ handle, nonceTpm }) => {
      const signature = signed(Buffer.concat([nonceTpm, Buffer.alloc(4), policyRef]));
      await policySigned(tpm, handle, { key, nonceTpm, policyRef, signature });
    });
    await flushContext(tpm, key);
    expect(new PolicyDigest().signed(key.name, policyRef).bytes).toEqual(told);
  });

  test('PolicySecret of a hierarchy, which for the endorsement hierarchy is PolicyA of the EK templates', async () => {
    const told = await digestAfter(async ({ handle }) => policySecret(tpm, handle, TPM_RH.ENDORSEMENT));
    expect(new PolicyDigest().secret(handleName(TPM_RH.ENDORSEMENT)).bytes).toEqual(told);
    expect(told).toEqual(EK_TEMPLATES[0]?.template.authPolicy);
  });

  test('PolicyAuthorize, in a trial and in a session whose policy was approved', async () => {
    const key = await loadExternal(tpm, authorityArea);
    const approved = new PolicyDigest().commandCode(TPM_CC.NV_Write).bytes;
    const message = approvalMessage(approved, policyRef);
    const ticket = await verifySignature(tpm, key, sha256(message), signed(message));
    const told = await digestAfter(async ({ handle }) => {
      await policyCommandCode(tpm, handle, TPM_CC.NV_Write);
      await policyAuthorize(tpm, handle, { approvedPolicy: approved, policyRef, keyName: key.name, ticket });
    });
    await flushContext(tpm, key);
    expect(PolicyDigest.authorized(authorityName, policyRef).bytes).toEqual(told);
  });

  test('PolicyAuthorizeNV by the policy that the index holds', async () => {
    const approved = new PolicyDigest().commandCode(TPM_CC.Unseal).bytes;
    const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA;
    await nvDefine(tpm, {
      nvIndex: INDEX,
      nameAlg: TPM_ALG.SHA256,
      attributes,
      authPolicy: Buffer.alloc(0),
      dataSize: 34,
    });
    await nvWrite(tpm, INDEX, Buffer.concat([Buffer.from('000b', 'hex'), approved]), OWNER);
    const index = await nvReadPublic(tpm, INDEX);
    const told = await digestAfter(async ({ handle }) => {
      await policyCommandCode(tpm, handle, TPM_CC.Unseal);
      await policyAuthorizeNv(tpm, handle, index, index);
    });
    expect(PolicyDigest.authorizedByNv(index.name).bytes).toEqual(told);
    await expect(
      digestAfter(async ({ handle }) => {
        await policyCommandCode(tpm, handle, TPM_CC.NV_Write);
        await policyAuthorizeNv(tpm, handle, index, index);
      }),
    ).rejects.toMatchObject({ rcName: expect.stringMatching(/POLICY|VALUE/) as unknown });
  });

  test('the cpHash of NV_Write, which is all that the session then authorises', async () => {
    const write = { data: number(5n), offset: 0 };
    const attributes = TPMA_NV.policyWrite | TPMA_NV.authRead | TPMA_NV.noDA;
    const area = { nvIndex: INDEX, nameAlg: TPM_ALG.SHA256, attributes, dataSize: 8 };
    // A policy that names its own index cannot stand in the index: its Name would depend on itself. So it is approved.
    const authPolicy = PolicyDigest.authorized(authorityName, policyRef).bytes;
    const name = nvName({ ...area, authPolicy });
    await nvDefine(tpm, { ...area, authPolicy });
    const cpHash = nvWriteCpHash(write, { auth: name, index: name });
    const approvedPolicy = new PolicyDigest().cpHash(cpHash).bytes;
    const message = approvalMessage(approvedPolicy, policyRef);
    const index = { handle: INDEX, name };
    const writeWith = async (data: Buffer): Promise<void> => {
      const key = await loadExternal(tpm, authorityArea);
      const ticket = await verifySignature(tpm, key, sha256(message), signed(message));
      await flushContext(tpm, key);
      await using session = await startSession(tpm, { kind: 'policy' });
      await policyCpHash(tpm, session.handle, cpHash);
      await policyAuthorize(tpm, session.handle, { approvedPolicy, policyRef, keyName: authorityName, ticket });
      await nvWrite(tpm, index, data, { authHandle: index, auth: session.use() });
    };
    await expect(writeWith(number(255n))).rejects.toMatchObject({ rcName: 'TPM_RC_POLICY_FAIL' });
    await writeWith(number(5n));
    const written = await nvReadPublic(tpm, INDEX);
    expect(await nvRead(tpm, written, { authHandle: written })).toEqual(number(5n));
  });
});

describe('a secret that opens by approval', () => {
  /** Sealed so that only what `authority` approved opens it. */
  async function withSealed(
    data: Buffer,
    work: (open: (v: number, approval: Buffer, forged?: boolean) => Promise<Buffer>) => Promise<void>,
  ): Promise<void> {
    const attributes = TPMA_OBJECT.fixedTPM | TPMA_OBJECT.fixedParent | TPMA_OBJECT.adminWithPolicy | TPMA_OBJECT.noDA;
    const authPolicy = PolicyDigest.authorized(authorityName, policyRef).bytes;
    const template: TpmtPublic = { ...SEALED_TEMPLATE, attributes, authPolicy };
    await withPrimary(tpm, SRK_TEMPLATE, async (srk) => {
      const object = await load(tpm, srk, await create(tpm, srk, template, { data }));
      const open = async (version: number, approvedPolicy: Buffer, forged = false): Promise<Buffer> => {
        const message = approvalMessage(approvedPolicy, policyRef);
        const key = await loadExternal(tpm, authorityArea);
        try {
          const signature = signed(forged ? Buffer.alloc(9) : message);
          const ticket = await verifySignature(tpm, key, sha256(message), signature);
          await using session = await startSession(tpm, { kind: 'policy', salt: { key: srk, pinnedName: srk.name } });
          const index = await nvReadPublic(tpm, INDEX);
          await policyPcr(tpm, session.handle, PCR_23);
          const operand = number(BigInt(version));
          await policyNv(tpm, session.handle, { authHandle: index, index, operand, operation: TPM_EO.UNSIGNED_LE });
          await policyAuthorize(tpm, session.handle, { approvedPolicy, policyRef, keyName: key.name, ticket });
          return await unseal(tpm, object, session.use({ encryptResponse: true }));
        } finally {
          await flushContext(tpm, key);
        }
      };
      try {
        await work(open);
      } finally {
        await flushContext(tpm, object);
      }
    });
  }

  test('opens in the approved state, and old approvals die with a changed PCR and with a risen counter', async () => {
    const data = randomBytes(32);
    const attributes = TPMA_NV.ownerWrite | TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA | TPMA_NV.counter;
    const counter = { nvIndex: INDEX, nameAlg: TPM_ALG.SHA256, attributes, authPolicy: Buffer.alloc(0), dataSize: 8 };
    await nvDefine(tpm, counter);
    await nvIncrement(tpm, INDEX, OWNER);
    const index = await nvReadPublic(tpm, INDEX);
    const height = Number((await nvRead(tpm, index)).readBigUInt64BE());
    const approval = (value: Buffer, version: number): Buffer =>
      new PolicyDigest()
        .pcr(PCR_23, [value])
        .nv({ indexName: index.name, operand: number(BigInt(version)), operation: TPM_EO.UNSIGNED_LE }).bytes;
    const before = Buffer.alloc(32);
    const step = randomBytes(32);
    const after = createHash('sha256').update(before).update(step).digest();
    await withSealed(data, async (open) => {
      expect(await open(height, approval(before, height))).toEqual(data);
      await expect(open(height, approval(before, height), true)).rejects.toMatchObject({ rcName: 'TPM_RC_SIGNATURE' });
      await pcrExtend(tpm, 23, TPM_ALG.SHA256, step);
      await expect(open(height, approval(before, height))).rejects.toMatchObject({ rcName: 'TPM_RC_VALUE' });
      expect(await open(height, approval(after, height))).toEqual(data);
      await nvIncrement(tpm, INDEX, OWNER);
      await expect(open(height, approval(after, height))).rejects.toMatchObject({ rcName: 'TPM_RC_POLICY' });
      expect(await open(height + 1, approval(after, height + 1))).toEqual(data);
    });
  });

  test('does not open by the password that it has not', async () => {
    await ordinary(1n);
    const attributes = TPMA_OBJECT.fixedTPM | TPMA_OBJECT.fixedParent | TPMA_OBJECT.adminWithPolicy | TPMA_OBJECT.noDA;
    const template = { ...SEALED_TEMPLATE, attributes, authPolicy: sha256() };
    await withPrimary(tpm, SRK_TEMPLATE, async (srk) => {
      const object = await load(tpm, srk, await create(tpm, srk, template, { data: randomBytes(8) }));
      await expect(unseal(tpm, object, password())).rejects.toMatchObject({ rcName: 'TPM_RC_AUTH_UNAVAILABLE' });
      await flushContext(tpm, object);
    });
  });
});
