// Readers of what the TPM, the firmware, the kernel and a model's maker say.
import { decode, encode } from '../../src/bytes/wire.ts';
import type { Codec } from '../../src/bytes/wire.ts';
import { countSignatures, readEfiVariable } from '../../src/boot/efi-variable.ts';
import { readFirmwareLog } from '../../src/boot/event-log.ts';
import { explainFirmwareLog, secureBootOf } from '../../src/boot/explain.ts';
import { readImaList } from '../../src/boot/ima-list.ts';
import { readPcrValues } from '../../src/boot/pcr-values.ts';
import { replayFirmwareLog } from '../../src/boot/pcr-replay.ts';
import { readBootReferenceFile } from '../../src/boot/reference-file.ts';
import { readHealthPlan } from '../../src/agent/health-plan.ts';
import { FormatError } from '../../src/gate/formats/file-reader.ts';
import type { Bytes } from '../../src/gate/formats/file-reader.ts';
import { checkGguf } from '../../src/gate/formats/gguf.ts';
import { checkOnnx } from '../../src/gate/formats/onnx.ts';
import { checkOpenvino } from '../../src/gate/formats/openvino.ts';
import { checkSafetensors } from '../../src/gate/formats/safetensors.ts';
import { checkTflite } from '../../src/gate/formats/tflite.ts';
import { inspectProfile } from '../../src/profile/profile.ts';
import { decodeFloorToken, encodeFloorToken } from '../../src/tpm/floor/token-file.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import { Tpm2bIdObject, TpmsContext } from '../../src/tpm/wire/credential.ts';
import { TpmsNvPublic } from '../../src/tpm/wire/nv.ts';
import { PcrReadAnswer } from '../../src/tpm/wire/pcr.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { readAttestHeader, readQuoteInfo, readSignature } from '../../src/verifier/attest.ts';
import { anyReads, assertSame, readOrRefused } from './target.ts';
import type { Feed } from './target.ts';

const STRUCTURES: readonly Codec<unknown>[] = [
  TpmtPublic,
  TpmtSignature,
  TpmsNvPublic,
  Tpm2bIdObject,
  TpmsContext,
  PcrReadAnswer,
] as readonly Codec<unknown>[];

const structures: Feed = (bytes) => {
  const read = STRUCTURES.map((codec) => ({ codec, value: readOrRefused(() => decode(codec, bytes)) }));
  const taken = read.filter(({ value }) => value !== undefined);
  for (const { codec, value } of taken) {
    assertSame(encode(codec, value).toString('hex'), bytes.toString('hex'), 'written again');
  }
  return taken.length > 0;
};

const attest: Feed = (bytes) => {
  const header = readOrRefused(() => readAttestHeader(bytes));
  const declared = readOrRefused(() => decode(TpmsAttest, bytes));
  // Two readers of one structure, the device's and the verifier's, must not see two things.
  if (declared !== undefined) {
    assertSame(header?.extraData.toString('hex'), declared.extraData.toString('hex'), 'extraData for the verifier');
    assertSame(header?.clock, declared.clockInfo.clock, 'clock for the verifier');
  }
  return anyReads(bytes, readSignature) || (header !== undefined && anyReads(header.attested, readQuoteInfo));
};

const firmwareLog: Feed = (bytes) => {
  const read = readOrRefused(() => readFirmwareLog(bytes));
  if (read === undefined) return false;
  readOrRefused(() => replayFirmwareLog(read));
  explainFirmwareLog(read);
  secureBootOf(read);
  return true;
};

const floorToken: Feed = (bytes) => {
  const token = readOrRefused(() => decodeFloorToken(bytes));
  if (token !== undefined) assertSame(decodeFloorToken(encodeFloorToken(token)), token, 'read again');
  return token !== undefined;
};

const settings: Feed = (bytes) => 'loaded' in inspectProfile(bytes) || anyReads(bytes, readHealthPlan);

/** A file in memory. Whoever reads beyond what is there has not checked a length. */
function inMemory(bytes: Buffer): Bytes {
  return {
    size: bytes.length,
    read: (at, length) => {
      if (at < 0 || length < 0 || at + length > bytes.length) throw new RangeError(`read ${length} bytes at ${at}`);
      return Promise.resolve(bytes.subarray(at, at + length));
    },
  };
}

function format(check: (bytes: Bytes) => Promise<void>): Feed {
  return async (bytes) => {
    try {
      await check(inMemory(bytes));
      return true;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return false;
    }
  };
}

export const DEVICE_TARGETS: Readonly<Record<string, Feed>> = {
  'tpm-structures': structures,
  attest,
  'floor-token': floorToken,
  'firmware-log': firmwareLog,
  'firmware-data': (bytes) => anyReads(bytes, readEfiVariable, countSignatures),
  'ima-list': (bytes) => anyReads(bytes, readImaList),
  'boot-files': (bytes) => anyReads(bytes, readPcrValues, (file) => readBootReferenceFile(file, 'file')),
  settings,
  safetensors: format(checkSafetensors),
  onnx: format((bytes) => checkOnnx(bytes, new Map([['w.bin', 12]]))),
  tflite: format(checkTflite),
  gguf: format(checkGguf),
  openvino: format((bytes) => checkOpenvino(bytes, 12)),
};
