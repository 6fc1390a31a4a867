// Challenge and evidence in their usual form, in the order of deterministic CBOR. The shapes in messages.ts are the definition.
import { choices, key } from '../bytes/quick-cbor.ts';
import type { QuickCbor } from '../bytes/quick-cbor.ts';
import { quickEpoch } from '../evidence/quick-claims.ts';
import type { Challenge, EvidenceMessage } from './messages.ts';

const K = {
  afterSeq: key('afterSeq'),
  attest: key('attest'),
  bank: key('bank'),
  challenge: key('challenge'),
  claims: key('claims'),
  deviceId: key('deviceId'),
  epoch: key('epoch'),
  fleetId: key('fleetId'),
  generation: key('generation'),
  issuedAt: key('issuedAt'),
  kid: key('kid'),
  log: key('log'),
  nonce: key('nonce'),
  pcrs: key('pcrs'),
  policyDigest: key('policyDigest'),
  signature: key('signature'),
  v: key('v'),
} as const;

const BANKS = choices('sha256', 'sha384');

export function quickChallenge(from: QuickCbor): Challenge {
  from.map(12);
  const challenge: Challenge = {
    v: from.key(K.v).one(),
    kid: from.key(K.kid).text(64),
    bank: from.key(K.bank).oneOf(BANKS),
    pcrs: from.key(K.pcrs).list(24, (item) => item.uint(23)),
    epoch: from.key(K.epoch).orNull(quickEpoch),
    nonce: from.key(K.nonce).bytes(16),
    fleetId: from.key(K.fleetId).bytes(16),
    afterSeq: from.key(K.afterSeq).uint(),
    deviceId: from.key(K.deviceId).text(64),
    issuedAt: from.key(K.issuedAt).uint(),
    generation: from.key(K.generation).uint(),
    policyDigest: from.key(K.policyDigest).bytes(32),
  };
  return challenge.pcrs.length > 0 ? challenge : from.miss();
}

/** Only with the log inside; its parts share memory with the message. */
export function quickEvidence(from: QuickCbor): EvidenceMessage {
  from.map(6);
  return {
    v: from.key(K.v).one(),
    log: from.key(K.log).view(128 * 1024),
    attest: from.key(K.attest).view(1024),
    claims: from.key(K.claims).view(128 * 1024),
    challenge: from.key(K.challenge).view(2048),
    signature: from.key(K.signature).view(1024),
  };
}
