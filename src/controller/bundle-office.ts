// Upgrades that are carried by hand to devices that nobody can reach, and the receipts that are carried back.
import { randomBytes } from 'node:crypto';
import { toHex, toUtf8 } from '../bytes/text.ts';
import type { Clock } from '../clock.ts';
import { sha256 } from '../crypto/digest.ts';
import { TouchstoneError } from '../errors.ts';
import type { Log } from '../log.ts';
import { readChallenge } from '../protocol/challenge.ts';
import { decodeEvidence, decodeLogPart } from '../protocol/codec.ts';
import type { Instruction } from '../protocol/messages.ts';
import { signStatement } from '../protocol/statement.ts';
import type { Finding } from '../rules/finding.ts';
import type { Challenger } from './challenger.ts';
import type { Heard, Intake } from './intake.ts';
import type { Operator } from './operator.ts';
import type { Registry } from './registry.ts';
import type { Settings } from './settings.ts';

export interface BundleOfficeParts {
  readonly settings: Settings;
  readonly registry: Registry;
  readonly operator: Operator;
  readonly challenger: Challenger;
  readonly intake: Intake;
  /** The root statements as devices take them. */
  root(): Buffer;
  readonly clock: Clock;
  readonly log: Log;
}

export interface BundleWish {
  /** Release id, or the beginning of one. */
  readonly release: string;
  /** Null: the one slot of the device's profile that the release is for. */
  readonly slot: string | null;
  /** ms for which the device may take it, and its receipt counts. */
  readonly validForMs: number;
}

/** What a bundle holds beside the release itself, which lies in `folder`. */
export interface MadeBundle {
  readonly device: string;
  readonly slot: string;
  readonly release: string;
  readonly order: number;
  /** ms since 1970. */
  readonly notAfter: number;
  readonly folder: string;
  /** Base64 of the bytes of a root.json, of the instruction's envelope, and of the sealed challenge. */
  readonly root: string;
  readonly instruction: string;
  readonly challenge: string;
}

/** What became of a receipt. */
export interface AcceptedReceipt {
  readonly id: string;
  readonly accepted: boolean;
  /** Not accepted: the rule, or why it was not even judged. */
  readonly why: string | null;
  readonly findings: readonly Finding[];
  /** The signed result (JSON of a DSSE envelope) for the way back; null when it was not accepted. */
  readonly result: string | null;
}

function refuse(message: string): never {
  throw new TouchstoneError('CONTROL_REFUSED', message);
}

// Errors of every method: TouchstoneError CONTROL_REFUSED that says why; StoreError; WireError for other bytes.
export class BundleOffice {
  readonly #parts: BundleOfficeParts;

  constructor(parts: BundleOfficeParts) {
    this.#parts = parts;
  }

  /** The signed parts of a bundle: an instruction that is newer than all before it for its slot, and a challenge that lives as long. */
  async make(name: string, { release: wanted, slot: asked, validForMs }: BundleWish): Promise<MadeBundle> {
    const { operator, challenger, registry, settings, clock, log } = this.#parts;
    const { release, folder, slots } = await operator.plan([name], { release: wanted, slot: asked });
    const [only] = slots;
    if (only === undefined || folder === null) return refuse(`there is no copy of release ${release.id} here`);
    const { device, slot } = only;
    const challenge = await challenger.toCarry(device.id, validForMs);
    if (challenge === null) return refuse(`${device.id} cannot be asked: its profile ${device.profile} is not known`);
    const at = clock.now();
    const order = await registry.nextOrder(device.id, slot);
    const instruction: Instruction = {
      v: 1,
      fleetId: settings.trust.fleet.fleetId,
      deviceId: device.id,
      id: toHex(randomBytes(16)),
      slot,
      order,
      release: release.id,
      notAfter: at + validForMs,
      challenge: toHex(sha256(challenge)),
    };
    const text = `bundle ${instruction.id} with release ${release.id} for slot ${slot}, order ${order}`;
    await registry.addHistory({ device: device.id, at, kind: 'bundle', text });
    log.write('info', 'bundle', `${device.id}: ${text}`, { device: device.id, slot, release: release.id });
    const envelope = signStatement('instruction', instruction, settings.operatorKey);
    return {
      device: device.id,
      slot,
      release: release.id,
      order,
      notAfter: instruction.notAfter,
      folder,
      root: this.#parts.root().toString('base64'),
      instruction: toUtf8(envelope).toString('base64'),
      challenge: challenge.toString('base64'),
    };
  }

  /** A piece of a long log, before the evidence that refers to it. */
  async takeLogPart(device: string, bytes: Uint8Array): Promise<void> {
    const { digest, index, bytes: part } = decodeLogPart(bytes);
    const { registry } = this.#parts;
    if ((await registry.device(device)) === null) refuse(`no device has the id ${device}`);
    if (!(await registry.putLogPart(device, Buffer.from(digest), index, Buffer.from(part)))) {
      refuse(`the log of ${device} is too long`);
    }
  }

  /** Judged and accepted as if the broker had brought it. */
  async accept(evidence: Uint8Array): Promise<AcceptedReceipt> {
    const { deviceId: id } = readChallenge(decodeEvidence(evidence).challenge);
    if ((await this.#parts.registry.device(id)) === null) return refuse(`no device has the id ${id}`);
    const heard = await new Promise<Heard>((resolve) => {
      this.#parts.intake.take(id, Buffer.from(evidence), resolve);
    });
    if (heard.accepted) return { id, accepted: true, why: null, findings: [], result: heard.taken.verdict.envelope };
    return { id, accepted: false, why: heard.why, findings: heard.findings, result: null };
  }
}
