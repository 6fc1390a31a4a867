// Enrolment as the controller runs it: request → credential → proof → pending, until somebody who may approves.
import { randomBytes } from 'node:crypto';
import { toUtf8 } from '../bytes/text.ts';
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { equalBytes, sha256 } from '../crypto/digest.ts';
import { BusError, WireError } from '../errors.ts';
import { decodeEnrolProof, decodeEnrolRequest, encodeEnrolCredential, encodeEnrolOutcome } from '../protocol/codec.ts';
import type { EnrolOutcome, EnrolProof, EnrolRequest } from '../protocol/messages.ts';
import { openStatement, signStatement } from '../protocol/statement.ts';
import type { Trust } from '../release/root.ts';
import type { Finding } from '../rules/finding.ts';
import { credentialFor, endorsementOf, pinned, proofFindings, readNewcomer, sameKeys } from './newcomer.ts';
import type { Newcomer, Read } from './newcomer.ts';
import type { Admission } from './admission.ts';
import type { CertificateOffice } from './certificate-office.ts';
import type { Log } from '../log.ts';
import type { References } from './references.ts';
import type { DeviceRow, Endorsed, Registry } from './registry.ts';
import type { Settings } from './settings.ts';

/** Devices that may wait for approval at once. */
const MAX_PENDING = 1000;
/** A refused request leaves a line in the history of the device it names, at most this often: anybody can send one. */
const REFUSALS_EVERY_MS = 600_000;
/** How long a newcomer has to open his credential. */
const OPEN_MS = 10 * 60_000;

export interface EnrolmentParts {
  readonly settings: Settings;
  readonly references: () => References;
  /** Whose endorsements count now. */
  readonly trust: () => Pick<Trust, 'resultKeys'>;
  readonly registry: Registry;
  readonly bus: Pick<Bus, 'publish'>;
  readonly clock: Clock;
  readonly certificates: Pick<CertificateOffice, 'issue'>;
  readonly admission: Admission;
  readonly log: Log;
  /** Sends the root statement to a device that is let in: its firmware may be older than the keys of today. */
  readonly sendRoot?: (device: string) => Promise<void>;
  /** A device's record has changed. */
  readonly changed: (device: string) => Promise<void>;
}

function refusal(rule: Finding['rule'], expected: string, found: string): Finding {
  return { rule, status: 'contraindicated', subject: 'device', expected, found, source: 'fleet' };
}

/** For who decides about a device that was of the fleet before. */
const RETURNED: Finding = {
  rule: 'enrol-returned',
  status: 'warning',
  subject: 'device',
  expected: 'a device that was not of the fleet before',
  found: 'one that was retired, with another attestation key',
  source: 'fleet',
};

function isRequest(bytes: Buffer): EnrolRequest | null {
  try {
    return decodeEnrolRequest(bytes);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

export class EnrolmentDesk {
  readonly #parts: EnrolmentParts;
  readonly #noted = new Map<string, number>();

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
  }

  /** A message on `device`'s enrol topic. What is neither request nor proof is dropped: anybody can send it. */
  async receive(device: string, bytes: Buffer): Promise<void> {
    const request = isRequest(bytes);
    if (request !== null) {
      if (request.deviceId === device) await this.#request(request, bytes);
      return;
    }
    try {
      await this.#proof(device, decodeEnrolProof(bytes));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#parts.log.write(
        'warning',
        'enrol-malformed',
        `enrolment message of ${device} is malformed: ${error.message}`,
      );
    }
  }

  async #send(device: string, message: Buffer): Promise<void> {
    await this.#parts.bus.publish(downTopic(device, 'enrol'), message);
  }

  async #answer(
    device: string,
    request: Buffer,
    outcome: Partial<EnrolOutcome> & Pick<EnrolOutcome, 'outcome' | 'reason'>,
  ): Promise<void> {
    if (outcome.outcome === 'approved') await this.#parts.sendRoot?.(device);
    await this.#send(device, encodeEnrolOutcome({ v: 1, request, endorsement: null, certificate: null, ...outcome }));
  }

  async #refuse(device: string, request: Buffer, findings: readonly Finding[]): Promise<void> {
    const reason = findings.map((one) => `${one.rule}: expected ${one.expected}, found ${one.found}`).join('; ');
    const { registry, clock, log } = this.#parts;
    log.write('warning', 'enrol-refused', `enrolment of ${device} refused: ${reason}`, { device });
    const now = clock.monotonic();
    if ((await registry.device(device)) !== null && this.#mayNote(device, now)) {
      await registry.addHistory({ device, at: clock.now(), kind: 'enrolment-refused', text: reason.slice(0, 2000) });
    }
    await this.#answer(device, request, { outcome: 'rejected', reason: reason.slice(0, 500) });
  }

  #mayNote(device: string, now: number): boolean {
    const last = this.#noted.get(device);
    if (last !== undefined && now - last < REFUSALS_EVERY_MS) return false;
    this.#noted.set(device, now);
    return true;
  }

  async #request(request: EnrolRequest, bytes: Buffer): Promise<void> {
    const { registry, clock } = this.#parts;
    const digest = sha256(bytes);
    const read = this.#read(request);
    if ('refused' in read) return this.#refuse(request.deviceId, digest, read.refused);
    const known = await registry.device(request.deviceId);
    if (known !== null && known.state !== 'retired' && !(await this.#isSame(known, request))) {
      const fault = refusal('enrol-known-id', `the attestation key of the known device`, 'another attestation key');
      return this.#refuse(request.deviceId, digest, [fault]);
    }
    const secret = randomBytes(32);
    const credential = credentialFor(read.newcomer, secret);
    if ('refused' in credential) return this.#refuse(request.deviceId, digest, [credential.refused]);
    const at = clock.now();
    await registry.putCredential({ request: digest, bytes, secret, at }, at - OPEN_MS);
    const { credentialBlob, secret: encrypted } = credential;
    await this.#send(
      request.deviceId,
      encodeEnrolCredential({ v: 1, request: digest, credentialBlob, secret: encrypted }),
    );
  }

  /** The keys of the record that is known under this id: its endorsement's, or its pending request's. */
  async #isSame(known: DeviceRow, request: EnrolRequest): Promise<boolean> {
    if (known.endorsement !== null) {
      const endorsement = openStatement('endorsement', toUtf8(known.endorsement), this.#parts.trust().resultKeys);
      if (endorsement !== null) return sameKeys(endorsement, request);
      // The key that signed it was revoked: what the device proved then still says which keys it has.
    }
    const pending = await this.#parts.registry.enrolment(known.id);
    if (pending === null) return false;
    const before = decodeEnrolRequest(pending.request);
    return equalBytes(before.akPublic, request.akPublic) && equalBytes(before.ekPublic, request.ekPublic);
  }

  async #proof(device: string, proof: EnrolProof): Promise<void> {
    const { registry, clock } = this.#parts;
    const digest = Buffer.from(proof.request);
    const open = await registry.credential(digest);
    if (open === null || clock.now() - open.at > OPEN_MS) return;
    const request = decodeEnrolRequest(open.bytes);
    if (request.deviceId !== device) return;
    const read = this.#read(request);
    if ('refused' in read) return this.#refuse(device, digest, read.refused);
    const faults = proofFindings(read.newcomer, proof, { request: digest, secret: open.secret });
    // A wrong answer may be anybody's: it does not close the way for the right one.
    if (faults.length > 0) return this.#refuse(device, digest, faults);
    await registry.dropCredential(digest);
    if ((await registry.device(device)) === null && (await registry.countPending()) >= MAX_PENDING) {
      return this.#refuse(device, digest, [refusal('enrol-many', `fewer than ${MAX_PENDING} waiting`, 'as many')]);
    }
    await this.#enter(read.newcomer, open.bytes);
    await this.#settle(device, digest, request);
  }

  /** The keys are of one TPM and it answers: the device may wait for approval, or has a token. */
  async #enter(newcomer: Newcomer, bytes: Buffer): Promise<void> {
    const { registry, admission, clock, log, changed } = this.#parts;
    const { request, tier } = newcomer;
    const { deviceId: id, profile } = request;
    const known = await registry.device(id);
    const again = known?.state === 'retired' && !(await this.#isSame(known, request));
    const returned = again || (await this.#hasReturned(id));
    const findings = [...newcomer.warnings, ...(returned ? [RETURNED] : [])];
    const enrolment = { id, request: bytes, secretProven: true, findings };
    const added = again
      ? await registry.enrolAgain({ id, profile, tier }, enrolment)
      : await registry.addDevice({ id, label: null, profile, tier }, enrolment);
    if (added) {
      const words = again ? 'asks to enrol again with another attestation key' : 'asks to enrol';
      log.write('info', 'enrol', `device ${id} ${words} (${tier} TPM, profile ${profile})`, { device: id });
      await registry.addHistory({ device: id, at: clock.now(), kind: 'enrolment', text: `${words}, ${tier} TPM` });
      await changed(id);
    } else {
      // A device that lost its disk asks with the same two keys and a new key for the broker: that is the one to certify.
      await registry.renewEnrolment(enrolment);
    }
    if (!added && known?.state !== 'pending') return;
    if (await this.admitAllowed(id)) return;
    // A token is for who waits; a device that has its place does not use one up.
    const approvedBy = await admission.byToken(request.token);
    if (approvedBy !== null) await this.approve(id, approvedBy);
  }

  /** It waits, and was retired before. */
  async #hasReturned(device: string): Promise<boolean> {
    const { registry } = this.#parts;
    if ((await registry.device(device))?.state !== 'pending') return false;
    return (await registry.enrolment(device))?.findings.some(({ rule }) => rule === RETURNED.rule) ?? false;
  }

  #read(request: EnrolRequest): Read {
    const { settings, references, clock, log } = this.#parts;
    const { fault } = settings.ekTrust;
    const read = readNewcomer(request, settings, references(), clock.now());
    const fresh = settings.ekTrust.fault;
    if (fresh !== null && fresh !== fault) log.write('error', 'config', `ek-roots is used as it was before: ${fresh}`);
    if ('refused' in read || !this.#parts.admission.isPinned(read.newcomer)) return read;
    return { newcomer: pinned(read.newcomer) };
  }

  /**
   * Endorses a device that waits and whose endorsement key was let in beforehand. False when it does not wait, or was not, or comes
   * back after it was retired: who has a stolen device makes another attestation key, and the lists would still name its TPM.
   */
  async admitAllowed(device: string): Promise<boolean> {
    const { registry } = this.#parts;
    const [row, waiting] = [await registry.device(device), await registry.enrolment(device)];
    if (row?.state !== 'pending' || waiting === null || (await this.#hasReturned(device))) return false;
    const read = this.#read(decodeEnrolRequest(waiting.request));
    const approvedBy = 'refused' in read ? null : this.#parts.admission.beforehand(read.newcomer);
    return approvedBy !== null && this.approve(device, approvedBy);
  }

  async #settle(device: string, digest: Buffer, request: EnrolRequest): Promise<void> {
    const row = await this.#parts.registry.device(device);
    if (row === null) return;
    if (row.state === 'rejected' || row.state === 'retired') {
      return this.#answer(device, digest, { outcome: 'rejected', reason: `this device is ${row.state}` });
    }
    if (row.endorsement === null) {
      return this.#answer(device, digest, { outcome: 'pending', reason: 'waits for approval by the operator' });
    }
    const certificate = await this.#parts.certificates.issue(device, request.tlsCsr);
    if (certificate === null) {
      const reason = 'it has too many broker certificates: retire it, and approve it anew';
      return this.#answer(device, digest, { outcome: 'pending', reason });
    }
    await this.#answer(device, digest, {
      outcome: 'approved',
      reason: 'approved',
      endorsement: row.endorsement,
      certificate,
    });
  }

  /** Endorses a device that waits, or was rejected, and tells it. False when it is neither, or its request no longer stands. */
  async approve(device: string, approvedBy: string): Promise<boolean> {
    const { registry, clock, log, changed } = this.#parts;
    const pending = await registry.enrolment(device);
    if (pending === null) return false;
    const request = decodeEnrolRequest(pending.request);
    const endorsed = this.#endorse(request, approvedBy);
    if (endorsed === null || !(await registry.setState(device, ['pending', 'rejected'], 'approved', endorsed))) {
      return false;
    }
    await registry.addHistory({ device, at: clock.now(), kind: 'approved', text: `approved by ${approvedBy}` });
    log.write('info', 'approved', `device ${device} approved by ${approvedBy}`, { device });
    await changed(device);
    await this.#tell(this.#settle(device, sha256(pending.request), request));
    return true;
  }

  /** Null when its request no longer stands. */
  #endorse(request: EnrolRequest, approvedBy: string): Endorsed | null {
    const { settings, clock } = this.#parts;
    const read = this.#read(request);
    if ('refused' in read) return null;
    const endorsement = endorsementOf(read.newcomer, settings, approvedBy, clock.now());
    return { envelope: signStatement('endorsement', endorsement, settings.resultKey), tier: endorsement.tier };
  }

  /**
   * A device of the fleet whose endorsement no longer counts, because the key that signed it was revoked: judged and endorsed anew, by
   * what it proved when it enrolled. False when its endorsement counts, or it has none, or its request no longer stands.
   */
  async endorseAgain(device: string, approvedBy: string): Promise<boolean> {
    const { registry, clock, log, changed } = this.#parts;
    const [row, proven] = [await registry.device(device), await registry.enrolment(device)];
    if (row === null || row.endorsement === null || proven === null) return false;
    if (openStatement('endorsement', toUtf8(row.endorsement), this.#parts.trust().resultKeys) !== null) return false;
    const endorsed = this.#endorse(decodeEnrolRequest(proven.request), approvedBy);
    if (endorsed === null || !(await registry.endorseAgain(device, row.endorsement, endorsed.envelope))) return false;
    await registry.addHistory({ device, at: clock.now(), kind: 'approved', text: `endorsed again by ${approvedBy}` });
    log.write('info', 'approved', `device ${device} endorsed again by ${approvedBy}`, { device });
    await changed(device);
    return true;
  }

  /** A decision stands whether or not it can be told now: the device asks again and hears it then. */
  async #tell(answer: Promise<void>): Promise<void> {
    await answer.catch((error: unknown) => {
      if (!(error instanceof BusError)) throw error;
    });
  }

  /** Turns a waiting device away. False when it does not wait. */
  async reject(device: string, reason: string): Promise<boolean> {
    const { registry, clock, changed } = this.#parts;
    if (!(await registry.setState(device, ['pending'], 'rejected'))) return false;
    await registry.addHistory({ device, at: clock.now(), kind: 'rejected', text: reason });
    await changed(device);
    const pending = await registry.enrolment(device);
    if (pending !== null) {
      await this.#tell(this.#answer(device, sha256(pending.request), { outcome: 'rejected', reason }));
    }
    return true;
  }
}
