// A Tpm of software keys that really sign and really decrypt, with the faults of a real one on demand.
import { createDecipheriv, createECDH, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { decode, encode } from '../../src/bytes/wire.ts';
import { kdfA, kdfE } from '../../src/crypto/kdf.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { TpmError } from '../../src/tpm/tpm-error.ts';
import type { PcrSelection, Quote, Tpm, TpmClock, TpmIdentity } from '../../src/tpm/port.ts';
import { TPM_ALG, TPM_GENERATED_VALUE, TPM_RH } from '../../src/tpm/wire/constants.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import type { Attested } from '../../src/tpm/wire/attest.ts';
import { Tpm2bEncryptedSecret, Tpm2bIdObject, TpmsEccPoint } from '../../src/tpm/wire/credential.ts';
import { objectName, qualifiedName } from '../../src/tpm/wire/names.ts';
import { toTpmlPcrSelection } from '../../src/tpm/wire/pcr.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { AK_TEMPLATE, EK_TEMPLATES } from '../../src/tpm/wire/templates.ts';

const PCRS = 24;
const LOST = 'the answer was lost';

function eccPublic(template: TpmtPublic, key: KeyObject): TpmtPublic {
  const jwk = key.export({ format: 'jwk' });
  const coordinate = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');
  if (template.area.type !== 'ecc') throw new TypeError('an ECC template');
  return { ...template, area: { ...template.area, x: coordinate(jwk.x), y: coordinate(jwk.y) } };
}

export class FakeTpm implements Tpm {
  #ak = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  readonly #ek = createECDH('prime256v1');
  readonly #ekPublic: TpmtPublic;
  #akPublic: TpmtPublic;
  #akName: Buffer;
  #akQualifiedName: Buffer;
  #pcrs: Buffer[] = [];
  #clock = 1000n;
  #resetCount = 1;
  #restartCount = 0;
  #safe = true;
  #life = randomBytes(32);
  #loseNext: 'no' | 'executed' | 'not-executed' | 'late' = 'no';
  #late: (() => void)[] = [];
  /** Run before every command: a test may cut the power here. */
  onCommand: (name: string) => void = () => {};

  constructor() {
    const point = this.#ek.generateKeys();
    const template = EK_TEMPLATES[0]?.template;
    if (template?.area.type !== 'ecc') throw new TypeError('L-2 is an ECC template');
    this.#ekPublic = { ...template, area: { ...template.area, x: point.subarray(1, 33), y: point.subarray(33) } };
    this.#akPublic = eccPublic(AK_TEMPLATE, this.#ak.publicKey);
    this.#akName = objectName(this.#akPublic);
    this.#akQualifiedName = qualifiedName(TPM_RH.ENDORSEMENT, this.#akName);
    this.#zero();
  }

  /** What whoever owns a TPM can do at any time: another attestation key under the same endorsement key. */
  makeOtherAk(): void {
    this.#ak = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    this.#akPublic = eccPublic(AK_TEMPLATE, this.#ak.publicKey);
    this.#akName = objectName(this.#akPublic);
    this.#akQualifiedName = qualifiedName(TPM_RH.ENDORSEMENT, this.#akName);
  }

  #zero(): void {
    this.#pcrs = Array.from({ length: PCRS }, (_, p) => Buffer.alloc(32, p >= 17 && p <= 22 ? 0xff : 0));
  }

  #run<T>(name: string, work: () => T): Promise<T> {
    try {
      this.onCommand(name);
      const late = this.#late;
      this.#late = [];
      for (const command of late) command();
      const lose = this.#loseNext;
      this.#loseNext = 'no';
      if (lose === 'late') this.#late.push(work);
      const result = lose === 'no' || lose === 'executed' ? work() : undefined;
      if (lose !== 'no') throw new TpmError('TPM_UNAVAILABLE', LOST);
      return Promise.resolve(result as T);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  readClock(): Promise<TpmClock> {
    return this.#run('readClock', () => ({
      clock: this.#clock++,
      resetCount: this.#resetCount,
      restartCount: this.#restartCount,
      safe: this.#safe,
    }));
  }

  readPcrs(selection: PcrSelection): Promise<Buffer[]> {
    return this.#run('readPcrs', () => selection.pcrs.map((p) => Buffer.from(this.#pcr(p))));
  }

  #pcr(index: number): Buffer {
    const value = this.#pcrs[index];
    if (value === undefined) throw new RangeError(`PCR ${index} does not exist`);
    return value;
  }

  extendPcr(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#run('extendPcr', () => {
      if (digest.length !== 32) throw new RangeError(`${digest.length} bytes are no SHA-256 digest`);
      this.#pcrs[pcr] = sha256(this.#pcr(pcr), digest);
    });
  }

  quote(qualifyingData: Uint8Array, selection: PcrSelection): Promise<Quote> {
    return this.#run('quote', () => {
      const pcrDigest = sha256(...selection.pcrs.map((p) => this.#pcr(p)));
      return this.attestAnything(Buffer.from(qualifyingData), {
        type: 'quote',
        quote: { pcrSelect: toTpmlPcrSelection(selection), pcrDigest },
      });
    });
  }

  /** Signs a TPMS_ATTEST of any content: what an attacker with the TPM at hand can get from it, and more. */
  attestAnything(extraData: Buffer, attested: Attested, change: Partial<TpmsAttest> = {}): Quote {
    const attest = encode(TpmsAttest, {
      magic: TPM_GENERATED_VALUE,
      qualifiedSigner: this.#akQualifiedName,
      extraData,
      clockInfo: {
        clock: this.#clock++,
        resetCount: this.#resetCount,
        restartCount: this.#restartCount,
        safe: this.#safe,
      },
      firmwareVersion: 0x2019102300163636n,
      attested,
      ...change,
    });
    return { attest, signature: this.signAnything(attest) };
  }

  /** TPMT_SIGNATURE by the AK over any bytes. */
  signAnything(message: Uint8Array): Buffer {
    const rs = sign('sha256', message, { key: this.#ak.privateKey, dsaEncoding: 'ieee-p1363' });
    const signature: TpmtSignature = {
      scheme: 'ecdsa',
      hash: TPM_ALG.SHA256,
      r: rs.subarray(0, 32),
      s: rs.subarray(32),
    };
    return encode(TpmtSignature, signature);
  }

  identity(): Promise<TpmIdentity> {
    return Promise.resolve({
      ekPublic: encode(TpmtPublic, this.#ekPublic),
      akPublic: encode(TpmtPublic, this.#akPublic),
      akName: this.#akName,
      akQualifiedName: this.#akQualifiedName,
      manufacturer: 'FAKE',
      firmwareVersion: 0x2019102300163636n,
      clockUpdateMs: 4096,
    });
  }

  life(): Promise<Buffer> {
    return this.#run('life', () => this.#life);
  }

  activateCredential(credentialBlob: Uint8Array, secret: Uint8Array): Promise<Buffer> {
    return this.#run('activateCredential', () => {
      const point = decode(TpmsEccPoint, decode(Tpm2bEncryptedSecret, secret));
      const { integrity, encIdentity } = decode(Tpm2bIdObject, credentialBlob);
      const z = this.#ek.computeSecret(Buffer.concat([Buffer.from([4]), point.x, point.y]));
      const mine = this.#ek.getPublicKey().subarray(1, 33);
      const seed = kdfE('sha256', z, 'IDENTITY', point.x, mine, 256);
      const none = Buffer.alloc(0);
      const hmacKey = kdfA('sha256', seed, 'INTEGRITY', none, none, 256);
      const mac = createHmac('sha256', hmacKey).update(encIdentity).update(this.#akName).digest();
      if (!mac.equals(integrity)) throw new TpmError('TPM_RESPONSE', 'TPM_RC_INTEGRITY: not for this AK');
      const symKey = kdfA('sha256', seed, 'STORAGE', this.#akName, none, 128);
      const cipher = createDecipheriv('aes-128-cfb', symKey, Buffer.alloc(16));
      const plain = Buffer.concat([cipher.update(encIdentity), cipher.final()]);
      return plain.subarray(2, 2 + plain.readUInt16BE(0));
    });
  }

  /** TPM reset: power cut (`clean: false`) or Shutdown(CLEAR) and Startup(CLEAR). */
  reset(options: { readonly clean: boolean } = { clean: false }): void {
    this.#resetCount++;
    this.#restartCount = 0;
    this.#late = [];
    if (!options.clean) {
      this.#safe = false;
      this.#clock = this.#clock > 4096n ? this.#clock - 4096n : 0n;
    }
    this.#zero();
  }

  /** Shutdown(STATE) and Startup(STATE): PCRs are kept. */
  suspendResume(): void {
    this.#restartCount++;
  }

  /** Shutdown(STATE) and Startup(CLEAR): same resetCount, PCRs zero. */
  hibernate(): void {
    this.#restartCount++;
    this.#zero();
  }

  /** TPM2_Clear followed by the reboot it needs: clock and counters start again, the AK stays. */
  clear(): void {
    this.#life = randomBytes(32);
    this.#clock = 0n;
    this.#resetCount = 0;
    this.#restartCount = 0;
    this.#safe = true;
    this.#zero();
  }

  /** Somebody else extends. */
  foreignExtend(pcr: number, digest: Uint8Array = randomBytes(32)): void {
    this.#pcrs[pcr] = sha256(this.#pcr(pcr), digest);
  }

  /** The next command's answer is lost: after it ran, without it running, or it runs before the command after it. */
  loseNextAnswer(how: 'executed' | 'not-executed' | 'late'): void {
    this.#loseNext = how;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
