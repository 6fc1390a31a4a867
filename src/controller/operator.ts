// What operators may decide: who belongs to the fleet, which published release goes where, who is asked for evidence now.
import { isAbsolute } from 'node:path';
import { TouchstoneError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { Bell } from './bell.ts';
import type { CertificateOffice } from './certificate-office.ts';
import type { Challenger } from './challenger.ts';
import type { CommandOffice } from './command-office.ts';
import type { EnrolmentDesk } from './enrolment.ts';
import type { Log } from '../log.ts';
import type { ReferenceKeeper } from './reference-keeper.ts';
import type { DeviceRow, DeviceState, Registry } from './registry.ts';
import type { Roster } from './roster.ts';
import { beginTpmHistory, tpmWentBack } from './tpm-history.ts';
import type { ReferenceRelease } from '../verifier/types.ts';

export interface OperatorParts {
  readonly registry: Registry;
  readonly roster: Roster;
  readonly references: ReferenceKeeper;
  readonly challenger: Challenger;
  readonly office: CommandOffice;
  readonly desk: EnrolmentDesk;
  readonly certificates: Pick<CertificateOffice, 'publish' | 'takeBack'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly bell: Bell;
}

export interface UpgradeWish {
  /** Release id, or the beginning of one. */
  readonly release: string;
  /** Null: the one slot of the device's profile that the release is for. */
  readonly slot: string | null;
  /** Path or URL where the device finds the release; null: the controller's own copy. */
  readonly source: string | null;
}

/** Which release goes where. */
export interface UpgradePlan {
  readonly release: ReferenceRelease;
  /** The controller's own copy. */
  readonly folder: string | null;
  readonly slots: readonly { readonly device: DeviceRow; readonly slot: string }[];
}

export interface GivenUpgrade {
  readonly device: string;
  readonly command: string;
  readonly slot: string;
  readonly release: string;
}

/** Shortest beginning of an id that is taken for one. */
const MIN_PREFIX = 4;
const POLL_MS = 500;

function refuse(message: string): never {
  throw new TouchstoneError('CONTROL_REFUSED', message);
}

// Errors of every method: TouchstoneError CONTROL_REFUSED that says why; StoreError.
export class Operator {
  readonly #parts: OperatorParts;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
  }

  /** The device of this id, label, or beginning of an id. */
  async find(name: string): Promise<DeviceRow> {
    const { registry } = this.#parts;
    const exact = await registry.device(name);
    if (exact !== null) return exact;
    const devices = await registry.devices();
    const labelled = devices.filter((one) => one.label === name);
    const begins = name.length >= MIN_PREFIX ? devices.filter((one) => one.id.startsWith(name)) : [];
    const found = labelled.length > 0 ? labelled : begins;
    const [only] = found;
    if (only === undefined) return refuse(`no device has the id or label ${name}`);
    if (found.length > 1) return refuse(`${name} is not clear: it fits ${found.length} devices; give more of the id`);
    return only;
  }

  /**
   * Pending or rejected: endorsed. Quarantined: trusted again. Endorsed by a key that was revoked since: endorsed again. Its TPM was
   * cleared: accepted as it is now.
   */
  async approve(name: string): Promise<DeviceRow> {
    const device = await this.find(name);
    const { desk } = this.#parts;
    const again = await desk.endorseAgain(device.id, 'operator');
    if (device.state === 'quarantined') {
      return this.#move(device, ['quarantined'], 'approved', 'no longer set aside');
    }
    if (again) return this.find(device.id);
    if (device.state === 'approved' && tpmWentBack(device)) return this.#acceptTpm(device);
    if (device.state === 'approved') return refuse(`${device.id} is approved already`);
    if (!(await desk.approve(device.id, 'operator'))) {
      return refuse(`${device.id} cannot be approved: it is ${device.state}, or its request no longer stands`);
    }
    return this.find(device.id);
  }

  async #acceptTpm(device: DeviceRow): Promise<DeviceRow> {
    const { registry, clock } = this.#parts;
    if (!(await beginTpmHistory(registry, device)))
      return refuse(`${device.id} sent newer evidence just now: look at it, and approve again`);
    const rules = device.verdict?.findings.map(({ rule }) => rule).join(', ') ?? '';
    const text = `its TPM's history begins anew; the verdict before was ${rules}`;
    await registry.addHistory({ device: device.id, at: clock.now(), kind: 'approved', text });
    await this.#changed(device.id);
    return this.find(device.id);
  }

  async reject(name: string, reason: string): Promise<DeviceRow> {
    const device = await this.find(name);
    if (!(await this.#parts.desk.reject(device.id, reason))) {
      return refuse(
        `${device.id} is ${device.state}: only a pending device can be rejected; see quarantine and retire`,
      );
    }
    return this.find(device.id);
  }

  /** It still attests, and no verdict trusts it. */
  async quarantine(name: string, reason: string): Promise<DeviceRow> {
    return this.#move(await this.find(name), ['approved'], 'quarantined', reason);
  }

  /** Out of the fleet; its history stays, and so does all that is on the device: nothing erases it from here. */
  async retire(name: string, reason: string): Promise<DeviceRow> {
    const from = ['pending', 'approved', 'rejected', 'quarantined'] as const;
    const retired = await this.#move(await this.find(name), from, 'retired', `${reason}; not erased`);
    await this.#parts.certificates.publish();
    return retired;
  }

  async #move(device: DeviceRow, from: readonly DeviceState[], to: DeviceState, reason: string): Promise<DeviceRow> {
    const { registry, clock, log } = this.#parts;
    if (!(await registry.setState(device.id, from, to))) {
      return refuse(`${device.id} is ${device.state}: only ${from.join(' or ')} becomes ${to}`);
    }
    await registry.addHistory({ device: device.id, at: clock.now(), kind: to, text: reason });
    log.write('info', to, `device ${device.id} is ${to}: ${reason}`, { device: device.id });
    await this.#changed(device.id);
    return this.find(device.id);
  }

  async #changed(id: string): Promise<void> {
    const { roster, challenger, bell } = this.#parts;
    await roster.refresh(id);
    // Its next verdict shows the decision. A broker that is gone is not the operator's failure.
    await challenger.ask(id).catch(() => false);
    bell.ring();
  }

  /** `fresh` takes the place of `old`: approved, with the label; `old` is retired. */
  async replace(old: string, fresh: string): Promise<DeviceRow> {
    const { registry } = this.#parts;
    const [before, after] = [await this.find(old), await this.find(fresh)];
    if (before.id === after.id) return refuse('a device cannot take its own place');
    if (after.state !== 'approved') await this.approve(after.id);
    await this.retire(before.id, `replaced by ${after.id}`);
    if (before.label !== null) {
      await registry.setLabel(before.id, null);
      await registry.setLabel(after.id, before.label);
    }
    return this.find(after.id);
  }

  /** Takes back one broker certificate by its serial number, hex; resolves to the device that it is of, null where that is not known. */
  async takeBack(serial: string): Promise<string | null> {
    return this.#parts.certificates.takeBack(serial);
  }

  /** Null takes the label away. */
  async label(name: string, label: string | null): Promise<DeviceRow> {
    const { registry, bell } = this.#parts;
    const device = await this.find(name);
    const taken = label === null ? [] : (await registry.devices()).filter((one) => one.label === label);
    if (taken.some((one) => one.id !== device.id)) return refuse(`the label ${label ?? ''} is another device's`);
    await registry.setLabel(device.id, label);
    bell.ring();
    return this.find(device.id);
  }

  /** Asks for evidence now. */
  async ask(name: string): Promise<DeviceRow> {
    const device = await this.find(name);
    if (!(await this.#parts.challenger.ask(device.id))) {
      return refuse(
        `${device.id} cannot be asked: it is ${device.state}, or its profile ${device.profile} is not known`,
      );
    }
    return device;
  }

  /** Asks for evidence and waits for its verdict. Null when none came within `ms`. */
  async attest(name: string, ms: number, signal?: AbortSignal): Promise<DeviceRow | null> {
    const { registry, clock, bell } = this.#parts;
    const before = await this.ask(name);
    const end = clock.monotonic() + ms;
    for (;;) {
      const device = await registry.device(before.id);
      const heard = device !== null && device.row.generation > before.row.generation;
      const trouble = device?.trouble?.at ?? 0;
      if (device !== null && (heard || trouble > (before.trouble?.at ?? 0))) return device;
      const left = end - clock.monotonic();
      if (left <= 0 || signal?.aborted === true) return null;
      await bell.wait(Math.min(left, POLL_MS), signal);
    }
  }

  #release(name: string): ReferenceRelease {
    const { references } = this.#parts;
    const find = (): ReferenceRelease[] =>
      [...references.references.releases.values()].filter((one) => one.id.startsWith(name));
    let found = find();
    if (found.length === 0) {
      // Added a moment ago.
      references.reload();
      found = find();
    }
    const [only] = found;
    if (only === undefined || name.length < MIN_PREFIX) return refuse(`no release ${name} is published here`);
    if (found.length > 1) return refuse(`${name} is not clear: it fits ${found.length} releases`);
    const [lapsed] = only.lapsed ?? [];
    if (lapsed !== undefined)
      return refuse(`release ${only.id} is not let in any more: ${lapsed.rule}: ${lapsed.found}`);
    if (only.withdrawn) return refuse(`release ${only.id} is withdrawn`);
    return only;
  }

  #slotFor({ id, profile }: DeviceRow, release: ReferenceRelease, asked: string | null): string {
    const reference = this.#parts.references.references.of(profile);
    if (reference === null) return refuse(`the profile ${profile} of ${id} is not known here`);
    const { slots } = reference.profile;
    if (asked !== null) {
      return slots.some(({ name }) => name === asked) ? asked : refuse(`${id} has no slot ${asked}`);
    }
    const fitting = slots.filter(
      ({ role, modelIds }) => role === release.slotRole && modelIds.includes(release.modelId),
    );
    const [only] = fitting;
    if (only === undefined) return refuse(`${id} has no slot for ${release.modelId} in the role ${release.slotRole}`);
    if (fitting.length > 1) return refuse(`${id} has ${fitting.length} slots for this release: name one with --slot`);
    return only.name;
  }

  /** Gives a device that asked for its version floors the token (JSON) that its TPM takes them by. The command's id. */
  async giveFloors(name: string, token: string): Promise<{ readonly device: string; readonly command: string }> {
    const device = await this.find(name);
    if (device.row.log?.floorGeneration === undefined) {
      return refuse(`${device.id} has not asked for version floors in its last evidence: touchstone device attest`);
    }
    const known = device.state === 'approved' ? await this.#parts.roster.refresh(device.id) : null;
    if (known === null) return refuse(`${device.id} is ${device.state}: only approved devices are given floors`);
    const command = await this.#parts.office.give(known, { kind: 'floors', token });
    this.#parts.bell.ring();
    return { device: device.id, command };
  }

  /** The published release that is meant, and for each device the slot that it goes into. Changes nothing. */
  async plan(names: readonly string[], wish: Pick<UpgradeWish, 'release' | 'slot'>): Promise<UpgradePlan> {
    const release = this.#release(wish.release);
    const slots: { device: DeviceRow; slot: string }[] = [];
    for (const name of names) {
      const device = await this.find(name);
      if (device.state !== 'approved')
        return refuse(`${device.id} is ${device.state}: only approved devices are upgraded`);
      // It may be named twice, by its id and by its label.
      if (slots.some((one) => one.device.id === device.id)) continue;
      slots.push({ device, slot: this.#slotFor(device, release, wish.slot) });
    }
    return { release, folder: this.#parts.references.references.folders.get(release.id) ?? null, slots };
  }

  /** Gives each device the command to install a published release. All names and the release are checked before the first is given. */
  async upgrade(names: readonly string[], wish: UpgradeWish): Promise<GivenUpgrade[]> {
    const { office, roster } = this.#parts;
    if (wish.source !== null && !isAbsolute(wish.source) && !/^https?:\/\//.test(wish.source)) {
      return refuse(`${wish.source} is neither an absolute path nor an http(s) URL`);
    }
    const { release, folder, slots } = await this.plan(names, wish);
    const source = wish.source ?? folder;
    const given: GivenUpgrade[] = [];
    for (const { device, slot } of slots) {
      const known = await roster.refresh(device.id);
      if (known === null) continue;
      const command = await office.give(known, { kind: 'install', slot, release: release.id, source });
      given.push({ device: device.id, command, slot, release: release.id });
    }
    this.#parts.bell.ring();
    return given;
  }
}
