// Claims in their usual form, field by field in the order of deterministic CBOR. The shape in claims.ts is the definition.
import { choices, key } from '../bytes/quick-cbor.ts';
import type { QuickCbor } from '../bytes/quick-cbor.ts';
import type { Epoch } from '../tpm/port.ts';
import { MAX_REPORTS } from './claims.ts';
import type { Claims, FloorCertificateClaim, Report, SlotClaim } from './claims.ts';

const K = {
  at: key('at'),
  agentVersion: key('agentVersion'),
  attest: key('attest'),
  bootPcrs: key('bootPcrs'),
  detail: key('detail'),
  deviceId: key('deviceId'),
  epoch: key('epoch'),
  fleetId: key('fleetId'),
  floor: key('floor'),
  floors: key('floors'),
  floorCertificate: key('floorCertificate'),
  floorGeneration: key('floorGeneration'),
  kind: key('kind'),
  lastSeq: key('lastSeq'),
  logFrom: key('logFrom'),
  logTo: key('logTo'),
  measuredAgo: key('measuredAgo'),
  n: key('n'),
  now: key('now'),
  profile: key('profile'),
  profileDigest: key('profileDigest'),
  release: key('release'),
  reports: key('reports'),
  resetCount: key('resetCount'),
  rootVersion: key('rootVersion'),
  restartCount: key('restartCount'),
  rule: key('rule'),
  securityVersion: key('securityVersion'),
  session: key('session'),
  signature: key('signature'),
  slot: key('slot'),
  slots: key('slots'),
  state: key('state'),
  subject: key('subject'),
  tpmLife: key('tpmLife'),
  trial: key('trial'),
  v: key('v'),
  version: key('version'),
} as const;

const SLOT_STATES = choices('empty', 'active', 'altered', 'stopped');
const TRIAL_STAGES = choices('health', 'result', 'floor');
const REPORT_KINDS = choices('refused', 'command', 'activated', 'rolled-back', 'interrupted', 'tpm', 'journal');

export function quickEpoch(from: QuickCbor): Epoch {
  from.map(2);
  return {
    resetCount: from.key(K.resetCount).uint(0xffffffff),
    restartCount: from.key(K.restartCount).uint(0xffffffff),
  };
}

function quickSlot(from: QuickCbor): SlotClaim {
  const fields = from.mapSize();
  if (fields !== 5 && fields !== 6) from.miss();
  return {
    slot: from.key(K.slot).name(),
    state: from.key(K.state).oneOf(SLOT_STATES),
    ...(fields === 6 ? { trial: from.key(K.trial).oneOf(TRIAL_STAGES) } : {}),
    release: from.key(K.release).bytesOrNull(32),
    version: from.key(K.version).textOrNull(128),
    securityVersion: from.key(K.securityVersion).uintOrNull(),
  };
}

function quickReport(from: QuickCbor): Report {
  from.map(8);
  return {
    n: from.key(K.n).uint(),
    at: from.key(K.at).uint(),
    kind: from.key(K.kind).oneOf(REPORT_KINDS),
    rule: from.key(K.rule).text(128),
    slot: from.key(K.slot).orNull((item) => item.name()),
    detail: from.key(K.detail).text(2048),
    session: from.key(K.session).bytes(16),
    subject: from.key(K.subject).textOrNull(512),
  };
}

function quickFloor(from: QuickCbor): { slot: string; floor: number | null } {
  from.map(2);
  return { slot: from.key(K.slot).name(), floor: from.key(K.floor).uintOrNull() };
}

function quickCertificate(from: QuickCbor): FloorCertificateClaim {
  from.map(2);
  return { attest: from.key(K.attest).view(1024), signature: from.key(K.signature).view(1024) };
}

function quickLast(from: QuickCbor): Pick<Claims, 'floorGeneration' | 'floorCertificate'> {
  if (from.isAt(K.floorGeneration)) return { floorGeneration: from.key(K.floorGeneration).uint() };
  return { floorCertificate: quickCertificate(from.key(K.floorCertificate)) };
}

export function quickClaims(from: QuickCbor): Claims {
  const fields = from.mapSize();
  // What asks for a certificate, or is in escrow, is read the long way.
  if (fields < 16 || fields > 20) from.miss();
  // Beside the sixteen of every evidence: those that are there, and what is left over is counted at the end.
  let others = fields - 16;
  const has = (field: Uint8Array): boolean => {
    if (others === 0 || !from.isAt(field)) return false;
    others -= 1;
    return true;
  };
  const claims: Claims = {
    v: from.key(K.v).one(),
    now: from.key(K.now).uint(),
    epoch: quickEpoch(from.key(K.epoch)),
    logTo: from.key(K.logTo).uint(),
    slots: from.key(K.slots).list(32, quickSlot),
    ...(has(K.floors) ? { floors: from.key(K.floors).list(8, quickFloor) } : {}),
    fleetId: from.key(K.fleetId).bytes(16),
    lastSeq: from.key(K.lastSeq).uint(),
    logFrom: from.key(K.logFrom).uint(),
    profile: from.key(K.profile).name(),
    reports: from.key(K.reports).list(MAX_REPORTS, quickReport),
    session: from.key(K.session).bytes(16),
    ...(has(K.tpmLife) ? { tpmLife: from.key(K.tpmLife).bytes(32) } : {}),
    bootPcrs: from.key(K.bootPcrs).list(24, (item) => item.bytes(32)),
    deviceId: from.key(K.deviceId).text(64),
    measuredAgo: from.key(K.measuredAgo).uint(),
    ...(has(K.rootVersion) ? { rootVersion: from.key(K.rootVersion).uint() } : {}),
    agentVersion: from.key(K.agentVersion).text(64),
    profileDigest: from.key(K.profileDigest).bytes(32),
    ...(others === 1 ? quickLast(from) : {}),
  };
  if (others > 1) from.miss();
  return claims;
}
