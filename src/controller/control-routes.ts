// The requests that the control interface takes, each with the shape of its body and what is answered.
import { parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { fromBase64, toBase64, toUtf8 } from '../bytes/text.ts';
import { MAX_VALID_FOR_MS } from '../protocol/messages.ts';
import { BATCH_BYTES } from '../release/batch.ts';
import type { AdmissionOffice } from './admission-office.ts';
import { allowedEksShape } from './allow-list.ts';
import type { BundleOffice } from './bundle-office.ts';
import { fleetExport } from './fleet-export.ts';
import type { Operator } from './operator.ts';
import type { RecordOffice } from './record-office.ts';
import type { DeviceRow } from './registry.ts';
import { deviceDetail, deviceView } from './views.ts';
import type { DeviceDetail, ViewParts } from './views.ts';

export interface RouteParts {
  readonly operator: Operator;
  readonly admissions: AdmissionOffice;
  readonly bundles: BundleOffice;
  readonly records: RecordOffice;
  readonly views: ViewParts;
  readonly health: () => Promise<unknown>;
}

/** Answers a request; `body` is what its sender says. Errors: WireError for another body; TouchstoneError. */
export type Route = (parts: RouteParts, body: unknown, signal: AbortSignal) => Promise<unknown>;

function route<T>(
  shape: Shape<T>,
  run: (parts: RouteParts, request: T, signal: AbortSignal) => Promise<unknown>,
): Route {
  return async (parts, body, signal) => run(parts, parseShape(shape, body, 'request'), signal);
}

async function shown({ views }: RouteParts, row: DeviceRow): Promise<{ device: DeviceDetail }> {
  return { device: await deviceDetail(row, views) };
}

/** Shorter than an id, so that no label can pass for one. */
const LABEL_MAX = 31;
const MAX_DEVICES = 1000;
const MAX_TOKEN_MS = 3660 * 86_400_000;
const MAX_BASE64 = 400 * 1024;

/** An id, a label, or the beginning of an id. */
const device = text(64);
const nothing = v.strictObject({});
const one = v.strictObject({ device });
const decision = v.strictObject({ device, reason: text(500) });

const ROUTES: Readonly<Record<string, Route>> = {
  health: route(nothing, async ({ health }) => health()),
  list: route(nothing, async ({ views }) => ({
    devices: await Promise.all((await views.registry.devices()).map(async (row) => deviceView(row, views))),
  })),
  export: route(nothing, async ({ views: { registry, settings, now } }) => {
    const devices = await registry.devices();
    const document = await fleetExport(settings.stateDir, devices, now());
    return { document, notApproved: devices.length - document.devices.length };
  }),
  show: route(one, async (parts, request) => shown(parts, await parts.operator.find(request.device))),
  approve: route(one, async (parts, request) => shown(parts, await parts.operator.approve(request.device))),
  reject: route(decision, async (parts, request) =>
    shown(parts, await parts.operator.reject(request.device, request.reason)),
  ),
  quarantine: route(decision, async (parts, request) =>
    shown(parts, await parts.operator.quarantine(request.device, request.reason)),
  ),
  retire: route(decision, async (parts, request) =>
    shown(parts, await parts.operator.retire(request.device, request.reason)),
  ),
  replace: route(v.strictObject({ device, by: device }), async (parts, request) =>
    shown(parts, await parts.operator.replace(request.device, request.by)),
  ),
  label: route(v.strictObject({ device, label: v.nullable(text(LABEL_MAX)) }), async (parts, request) =>
    shown(parts, await parts.operator.label(request.device, request.label)),
  ),
  attest: route(v.strictObject({ device, waitMs: uint(3_600_000) }), async (parts, request, signal) => {
    const heard = await parts.operator.attest(request.device, request.waitMs, signal);
    const row = heard ?? (await parts.operator.find(request.device));
    return { answered: heard !== null, ...(await shown(parts, row)) };
  }),
  record: route(v.strictObject({ device, waitMs: uint(3_600_000) }), async (parts, request, signal) => {
    const { device: heard, record } = await parts.records.record(request.device, request.waitMs, signal);
    const row = heard ?? (await parts.operator.find(request.device));
    return { record: record === null ? null : toBase64(record), ...(await shown(parts, row)) };
  }),
  ear: route(v.strictObject({ device, waitMs: uint(3_600_000) }), async (parts, request, signal) => {
    const { device: heard, token } = await parts.records.ear(request.device, request.waitMs, signal);
    const row = heard ?? (await parts.operator.find(request.device));
    return { token, ...(await shown(parts, row)) };
  }),
  token: route(
    v.strictObject({ name: text(64), forMs: uint(MAX_TOKEN_MS) }),
    async ({ admissions }, { name, forMs }) => ({ token: await admissions.token(name, forMs) }),
  ),
  'revoke-certificate': route(
    v.strictObject({ serial: v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{1,40}$/)) }),
    async ({ operator }, { serial }) => ({ device: await operator.takeBack(serial) }),
  ),
  allow: route(v.strictObject({ entries: allowedEksShape }), async ({ admissions }, { entries }) => ({
    admitted: await admissions.allow(entries),
  })),
  allowed: route(nothing, async ({ admissions }) => Promise.resolve(admissions.expected())),
  disallow: route(v.strictObject({ name: text(128) }), async ({ admissions }, { name }) => {
    await admissions.disallow(name);
    return admissions.expected();
  }),
  batch: route(
    v.strictObject({ file: v.pipe(v.string(), v.maxLength(BATCH_BYTES)) }),
    async ({ admissions }, { file }) => admissions.takeBatch(toUtf8(file)),
  ),
  'batch-file': route(v.strictObject({ id: text(64) }), async ({ admissions }, { id }) => ({
    file: (await admissions.batchFile(id)).toString('utf8'),
  })),
  floors: route(v.strictObject({ device, token: text(4096) }), async ({ operator }, request) =>
    operator.giveFloors(request.device, request.token),
  ),
  upgrade: route(
    v.strictObject({
      devices: v.pipe(v.array(device), v.minLength(1), v.maxLength(MAX_DEVICES)),
      release: text(64),
      slot: v.nullable(text(64)),
      source: v.nullable(text(4096)),
    }),
    async ({ operator }, { devices, ...wish }) => ({ upgrades: await operator.upgrade(devices, wish) }),
  ),
  bundle: route(
    v.strictObject({
      device,
      release: text(64),
      slot: v.nullable(text(64)),
      validForMs: v.pipe(uint(MAX_VALID_FOR_MS), v.minValue(1)),
    }),
    async ({ bundles }, wish) => bundles.make(wish.device, wish),
  ),
  'receipt-log': route(v.strictObject({ device, part: text(MAX_BASE64) }), async ({ bundles }, request) => {
    await bundles.takeLogPart(request.device, fromBase64(request.part));
    return {};
  }),
  receipt: route(v.strictObject({ evidence: text(MAX_BASE64) }), async (parts, request) => {
    const { id, ...heard } = await parts.bundles.accept(fromBase64(request.evidence));
    return { ...heard, ...(await shown(parts, await parts.operator.find(id))) };
  }),
};

/** Longest request: an evidence message in base64; a batch is longer, and its quotes are escaped once more. */
export function longestBody(action: string): number {
  return action === 'batch' ? BATCH_BYTES + 64 * 1024 : 512 * 1024;
}

/** Null when there is no such action. */
export function routeOf(action: string): Route | null {
  return Object.hasOwn(ROUTES, action) ? (ROUTES[action] ?? null) : null;
}
