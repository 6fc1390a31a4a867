// Each check of the doctor finds its own fault and no other, and says what to do.
import { describe, expect, test } from 'vitest';
import { isSoftware, runTpmChecks, TPM_CHECKS, type CheckedFacts } from '../../src/cli/tpm-checks.ts';
import { kindOfTcti, pathOfTcti, type HostFacts } from '../../src/cli/tpm-host.ts';
import { whyUnreachable, type Failed } from '../../src/cli/tpm-unreachable.ts';
import type { TpmSurvey } from '../../src/tpm/survey.ts';

const host: HostFacts = {
  kind: 'device',
  libraryFault: null,
  path: { path: '/dev/tpmrm0', exists: true, usable: true, group: 'tss' },
  devices: ['/dev/tpm0', '/dev/tpmrm0'],
  users: [],
};

/** A hardware TPM of which nothing is to be said but that none was tried yet. */
const survey: TpmSurvey = {
  manufacturer: 'IFX',
  vendor: 'SLB9670',
  firmware: '7.85.17.51968',
  family: '2.0',
  level: 0,
  revision: '1.38',
  year: 2016,
  banks: [
    { hash: 'sha1', pcrs: [] },
    { hash: 'sha256', pcrs: [0, 7, 14] },
  ],
  missingCommands: [],
  persistent: [],
  transient: 0,
  sessions: 0,
  nvIndices: [{ index: 0x01c0000a, attributes: 0x62072801, size: 800 }],
  persistentLeft: 5,
  countersLeft: 5,
  chain: [],
  certificates: [{ template: 'L-2', index: 0x01c0000a, der: Buffer.alloc(10) }],
  ek: { template: 'L-2', certified: true, publicArea: Buffer.alloc(8), name: Buffer.alloc(34) },
  ak: { quoteMs: 120 },
  akHandleIsForeign: false,
  ownership: {
    ownerAuthSet: true,
    endorsementAuthSet: true,
    lockoutAuthSet: true,
    clearDisabled: false,
    inLockout: false,
    failures: 0,
    maxFailures: 32,
    recoveryTime: 600,
    lockoutRecovery: 86_400,
  },
  clock: { clock: 1n, resetCount: 1, restartCount: 0, safe: true },
  usedPcrs: [0, 7],
};
const fine: CheckedFacts = { host, survey, profile: null };

type Change = (facts: CheckedFacts) => CheckedFacts;
const withSurvey =
  (change: Partial<TpmSurvey>): Change =>
  (facts) => ({ ...facts, survey: { ...facts.survey, ...change } });
const withOwnership = (change: Partial<TpmSurvey['ownership']>): Change =>
  withSurvey({ ownership: { ...survey.ownership, ...change } });
const withHost =
  (change: Partial<HostFacts>): Change =>
  (facts) => ({ ...facts, host: { ...facts.host, ...change } });

const CASES: readonly (readonly [id: string, level: string, change: Change])[] = [
  ['family', 'stops', withSurvey({ family: '1.2' })],
  ['missing-commands', 'stops', withSurvey({ missingCommands: ['PolicyNV'] })],
  ['sha256-bank', 'stops', withSurvey({ banks: [{ hash: 'sha256', pcrs: [] }] })],
  ['attestation-key', 'stops', withSurvey({ ak: { refused: 'TPM_RC_CURVE' } })],
  ['attestation-key', 'stops', withSurvey({ ak: { refused: 'TPM_RC_OBJECT_MEMORY' } })],
  ['attestation-key', 'note', withSurvey({ ak: { refused: 'TPM_RC_BAD_AUTH' } })],
  [
    'endorsement-certificate',
    'risk',
    withSurvey({ ek: { template: 'L-2', certified: false, publicArea: Buffer.alloc(8), name: Buffer.alloc(34) } }),
  ],
  ['ownership', 'risk', withOwnership({ ownerAuthSet: false })],
  ['ownership', 'risk', withOwnership({ ownerAuthSet: false, endorsementAuthSet: false, lockoutAuthSet: false })],
  ['lockout', 'risk', withOwnership({ inLockout: true, failures: 32 })],
  ['lockout', 'note', withOwnership({ failures: 1 })],
  ['counter-room', 'risk', withSurvey({ countersLeft: 0 })],
  ['event-pcr', 'note', withSurvey({ usedPcrs: [0, 7, 13] })],
  ['resettable-pcr', 'note', withSurvey({ usedPcrs: [0, 7, 16] })],
  ['ak-handle', 'note', withSurvey({ akHandleIsForeign: true })],
  ['persistent-room', 'note', withSurvey({ persistentLeft: 0 })],
  ['clock-safe', 'note', withSurvey({ clock: { ...survey.clock, safe: false } })],
  ['other-users', 'note', withHost({ users: ['tpm2_quote (12)'] })],
  ['raw-device', 'risk', withHost({ path: { path: '/dev/tpm0', exists: true, usable: true, group: 'tss' } })],
  [
    'sha1-bank',
    'note',
    withSurvey({
      banks: [
        { hash: 'sha1', pcrs: [0] },
        { hash: 'sha256', pcrs: [0] },
      ],
    }),
  ],
  ['certificate-writable', 'note', withSurvey({ nvIndices: [{ index: 0x01c0000a, attributes: 0x2, size: 9 }] })],
];

describe('the doctor', () => {
  test('has nothing to say of a TPM that is as it should be, but that none like it was tried yet', () => {
    expect(runTpmChecks(fine).map(({ id }) => id)).toEqual(['untried-hardware']);
  });

  test.each(CASES)('finds %s (%s) and no other fault', (id, level, change) => {
    const findings = runTpmChecks(change(fine)).filter((finding) => finding.id !== 'untried-hardware');
    expect(findings.map((finding) => [finding.id, finding.level])).toEqual([[id, level]]);
    expect(findings[0]?.todo?.length).toBeGreaterThan(10);
  });

  test('finds what a process left in a TPM without resource manager, and not behind one', () => {
    const left = withSurvey({ transient: 3, sessions: 1 })(fine);
    expect(runTpmChecks(left).map(({ id }) => id)).toEqual(['untried-hardware']);
    const raw = withHost({ kind: 'swtpm', path: null })(left);
    expect(runTpmChecks(raw)).toContainEqual(expect.objectContaining({ id: 'leaked', level: 'risk' }));
  });

  test('calls a software TPM one, and nothing that has only its maker', () => {
    const software = withSurvey({ manufacturer: 'IBM', vendor: 'SW   TPM' })(fine);
    expect(runTpmChecks(software).map(({ id }) => id)).toEqual(['software-tpm']);
    expect(isSoftware({ manufacturer: 'IBM', vendor: 'other' })).toBe(false);
  });

  test('takes the event PCR and the ownership from the profile', () => {
    const profile = { eventPcr: 7, ownership: 'exclusive' } as const;
    expect(runTpmChecks({ ...fine, profile }).map(({ id }) => id)).toContain('event-pcr');
    const none = { ownerAuthSet: false, endorsementAuthSet: false, lockoutAuthSet: false };
    const findings = runTpmChecks({ ...withOwnership(none)(fine), profile });
    expect(findings).toContainEqual(expect.objectContaining({ id: 'ownership', level: 'note' }));
  });

  test('has a case here for every check', () => {
    const tried = new Set([...CASES.map(([id]) => id), 'leaked', 'software-tpm', 'untried-hardware']);
    expect(Object.keys(TPM_CHECKS).filter((id) => !tried.has(id))).toEqual([]);
  });
});

describe('why a TPM is not reached', () => {
  const failed = (change: Partial<Failed> = {}): Failed => ({
    code: 'TPM_UNAVAILABLE',
    message: 'cannot open',
    causes: ['returned 0x1'],
    ...change,
  });
  const missing = { path: '/dev/tpmrm0', exists: false, usable: false, group: '' };

  test.each<readonly [string, string, Partial<HostFacts>, Partial<Failed>]>([
    ['library', 'apt-get install', { libraryFault: 'not found' }, {}],
    ['device-node', 'firmware setup', { path: missing, devices: [] }, {}],
    ['device-node', 'device:/dev/tpmrm1', { path: missing, devices: ['/dev/tpm1', '/dev/tpmrm1'] }, {}],
    ['permission', 'usermod -aG tss ann', { path: { ...missing, exists: true, group: 'tss' } }, {}],
    ['permission', 'udev', { path: { ...missing, exists: true, group: 'root' } }, {}],
    ['swtpm-socket', 'swtpm socket', { kind: 'swtpm', path: { ...missing, path: '/s' } }, {}],
    ['busy', 'tpmrm0', { path: { path: '/dev/tpm0', exists: true, usable: true, group: 'tss' }, users: ['a (1)'] }, {}],
    ['silent', 'dmesg', {}, { code: 'TPM_TIMEOUT' }],
    ['silent', 'one at a time', { kind: 'swtpm' }, { code: 'TPM_TIMEOUT' }],
    ['not-started', 'startup-clear', {}, { message: 'TPM2_X: TPM_RC_INITIALIZE 0x100' }],
    ['failure-mode', 'replace', {}, { message: 'TPM2_X: TPM_RC_FAILURE 0x101' }],
    ['family', 'TPM 2.0', {}, { message: 'TPM2_X: TPM_RC_BAD_TAG 0x01e' }],
    ['tabrmd', 'systemctl', { kind: 'tabrmd', path: null }, {}],
    ['unreachable', 'examples', { kind: 'nosuch', path: null }, {}],
  ])('%s: with %s to do', (id, todo, hostChange, failedChange) => {
    const finding = whyUnreachable({ ...host, ...hostChange }, failed(failedChange), 'ann');
    expect(finding).toMatchObject({ id, level: 'stops', todo: expect.stringContaining(todo) as unknown });
  });
});

test.each([
  ['device:/dev/tpmrm0', 'device', '/dev/tpmrm0'],
  ['device', 'device', '/dev/tpm0'],
  ['libtss2-tcti-device.so.0:/dev/tpm1', 'device', '/dev/tpm1'],
  ['swtpm:path=/run/s', 'swtpm', '/run/s'],
  ['pcap:swtpm:path=/run/s', 'pcap', '/run/s'],
  ['swtpm:host=127.0.0.1,port=2321', 'swtpm', null],
  ['tabrmd:bus_type=session', 'tabrmd', null],
])('the configuration %s is of kind %s and names the path %s', (tcti, kind, path) => {
  expect([kindOfTcti(tcti), pathOfTcti(tcti)]).toEqual([kind, path]);
});
