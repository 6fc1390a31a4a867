// Good bytes for every reader that is fuzzed: a fuzzer that begins with them need not find out what a message is.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from '../../src/bytes/wire.ts';
import { encodeLog, encodeRecord, makeRecord } from '../../src/cel/record.ts';
import { makeRequest } from '../../src/crypto/certificates.ts';
import { signDsse } from '../../src/crypto/dsse.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { onnxClassifier } from '../../src/demo/onnx-model.ts';
import { IN_TOTO_TYPE } from '../../src/release/oms-statement.ts';
import { encodeRootFile } from '../../src/release/root-chain.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import { encodeFloorToken } from '../../src/tpm/floor/token-file.ts';
import { TpmsNvPublic } from '../../src/tpm/wire/nv.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { TpmtSignature } from '../../src/tpm/wire/signature.ts';
import { AK_TEMPLATE, EK_TEMPLATES } from '../../src/tpm/wire/templates.ts';
import { encodeAcceptance, recordOf } from '../../src/verifier/record-shape.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { firmwareLog, HONEST, imaAscii, imaBinary, variable } from '../boot/log-builder.ts';
import { gguf, openvino, safetensors, tensor, tflite } from '../gate/model-files.ts';
import {
  bundleOf,
  fleetFile,
  handStatement,
  jsonBytes,
  publisher,
  rootKeys,
  rootStatement,
} from '../release/publisher.ts';
import { certify, identity, toPem } from '../support/certificates.ts';
import { laterRow } from '../verifier/attack.ts';
import { build, freshRow, genuineEvents } from '../verifier/evidence-builder.ts';
import { cborNames, cborVector, signedNames, signedVector, vector } from '../vectors/vectors.ts';
import { TARGETS } from './targets.ts';

const root = join(import.meta.dirname, '../..');

/** The golden vectors of these rules of the grammar. */
function vectors(...rules: readonly string[]): Buffer[] {
  const named = cborNames.map((name) => cborVector(name)).filter(({ rule }) => rules.includes(rule));
  return named.map(({ hex }) => Buffer.from(hex, 'hex'));
}

const signed = (): Buffer[] => signedNames.map((name) => Buffer.from(signedVector(name).envelope));
const inFolder = (pattern: string): Buffer[] =>
  globSync(pattern, { cwd: root }).map((file) => readFileSync(join(root, file)));

function certificates(): Buffer[] {
  const [maker, device] = [identity('maker'), identity('device')];
  const pem = toPem(certify(device, maker));
  return [makeRequest('device', generateKey('p256').privateKey), Buffer.from(pem), Buffer.from(pem + pem)];
}

/** As a line hands them over: a table, one TPM, several. */
function lineFiles(): Buffer[] {
  const [maker, device] = [identity('maker'), identity('device')];
  const certificate = certify(device, maker);
  const area = encode(TpmtPublic, EK_TEMPLATES[0]?.template ?? AK_TEMPLATE);
  const pem = toPem(certificate);
  const tpm = {
    endorsementKey: { template: 'L-2', certified: true, public: area.toString('hex') },
    certificates: [{ template: 'L-2', pem }],
    chain: [pem],
  };
  const der = certificate.toString('base64');
  const rows = [
    'serial,ek_public,certificate,chain',
    `"a ""1""",${area.toString('hex')},${der},${der}`,
    `b,${area.toString('base64')},,`,
  ];
  const refused = { endorsementKey: { refused: 'no' }, certificates: [] };
  return [Buffer.from(rows.join('\r\n')), jsonBytes(tpm), jsonBytes([{ ...tpm, serial: 'x' }, refused])];
}

/** A quote with its signature and key, by a software TPM's own structures. */
async function quoted(): Promise<{ attest: Buffer; signature: Buffer }> {
  const tpm = new FakeTpm();
  const { attest, signature } = await tpm.quote(Buffer.alloc(32, 7), { bank: 'sha256', pcrs: [0, 7, 15] });
  return { attest: Buffer.from(attest), signature: Buffer.from(signature) };
}

const ima = [{ path: 'boot_aggregate' }, { path: '/usr/bin/agent', signature: Buffer.alloc(8, 3) }] as const;
const token = { by: 'floor', signature: Buffer.alloc(64, 1) } as const;

const SEEDS: Readonly<Record<string, () => readonly Buffer[] | Promise<readonly Buffer[]>>> = {
  cbor: () => vectors('evidence', 'claims', 'event', 'enrol-request', 'enrol-outcome', 'log-part', 'status-hint'),
  json: () => [...signed(), ...inFolder('firmware-profiles/*.json')],
  evidence: () => vectors('evidence'),
  claims: () => vectors('claims'),
  log: () => [encodeLog(genuineEvents.map((event, at) => encodeRecord(makeRecord(at + 1, 15, event))))],
  enrolment: () => vectors('enrol-request', 'enrol-credential', 'enrol-proof', 'enrol-outcome'),
  challenge: () => vectors('challenge', 'status-hint', 'log-part'),
  statements: () => [
    ...signed(),
    Buffer.from((vector('ek-batch') as { file: string }).file),
    handStatement(),
    jsonBytes(signDsse(IN_TOTO_TYPE, handStatement(), [publisher])),
  ],
  files: () => {
    const link = signRoot(rootStatement, rootKeys.slice(0, 2));
    return [bundleOf(handStatement()), encodeRootFile([link]), encodeRootFile([link, link]), jsonBytes(fleetFile)];
  },
  certificates,
  'line-list': () => lineFiles(),
  csv: () => [Buffer.from('a,b\r\n1,"x, ""y"""\r\n\r\n2,z\n'), Buffer.from('\uFEFFa\n"\n"')],
  record: () =>
    [freshRow, laterRow()].map((row) => encodeAcceptance(recordOf(build({ row }), fleetFile.fleetId, false))),
  'tpm-structures': async () => [
    ...[AK_TEMPLATE, ...EK_TEMPLATES.map(({ template }) => template)].map((area) => encode(TpmtPublic, area)),
    encode(TpmsNvPublic, {
      nvIndex: 0x01800000,
      nameAlg: 0x0b,
      attributes: 0,
      authPolicy: Buffer.alloc(32),
      dataSize: 64,
    }),
    encode(TpmtSignature, { scheme: 'ecdsa', hash: 0x0b, r: Buffer.alloc(32, 1), s: Buffer.alloc(32, 2) }),
  ],
  attest: async () => {
    const { attest, signature } = await quoted();
    return [attest, signature];
  },
  'floor-token': () => [
    encodeFloorToken({ ...token, kind: 'raise', slot: 1, to: 7n, maxStep: 16n }),
    encodeFloorToken({
      ...token,
      kind: 'first-write',
      values: Array.from({ length: 8 }, () => 0n),
      generation: 1n,
      akName: Buffer.alloc(34, 1),
    }),
  ],
  'firmware-log': () => [firmwareLog(...HONEST)],
  'firmware-data': () => [variable('SecureBoot', Buffer.from([1])), variable('db', Buffer.alloc(76, 1))],
  'ima-list': () => [imaBinary(...ima), imaAscii(...ima)],
  'boot-files': () => [
    Buffer.from(`sha256:\n  0 : 0x${'0a'.repeat(32)}\n  15: 0x${'1b'.repeat(32)}\n`),
    ...inFolder('test/boot/*.json'),
  ],
  settings: () => inFolder('firmware-profiles/!(*.schema).json'),
  safetensors: () => [safetensors({ a: [0, 4], b: [4, 12] }, 12), safetensors({}, 0)],
  onnx: () =>
    [onnxClassifier('seed'), tensor({ location: 'w.bin', offset: '4', length: '8' })].map((b) => Buffer.from(b)),
  tflite: () => [tflite()],
  gguf: () => [gguf()],
  openvino: () => [Buffer.from(openvino(4, 8))],
};

/** The seeds of this target. One without seeds is a mistake: most of its reader would never be reached. */
export async function seedsOf(name: string): Promise<readonly Buffer[]> {
  const seeds = (await SEEDS[name]?.()) ?? [];
  if (TARGETS[name] === undefined || seeds.length === 0) throw new RangeError(`nothing to begin with for ${name}`);
  return seeds;
}
