// A device in words: what a person at a terminal sees of its condition, verdict, findings, slots and past.
import type { CommandView, DeviceDetail, DeviceView, FindingView } from '../controller/views.ts';
import { cleanText, table } from './output.ts';
import type { Colour, Output } from './output.ts';

const COLOURS: Readonly<Record<string, Colour>> = {
  trusted: 'green',
  affirming: 'green',
  approved: 'green',
  warning: 'yellow',
  stale: 'yellow',
  waiting: 'yellow',
  pending: 'cyan',
  retired: 'dim',
  rejected: 'dim',
};

function painted(output: Output, word: string): string {
  return output.paint(COLOURS[word] ?? 'red', word);
}

/** `3 min ago`. */
export function ago(at: number | null, now: number): string {
  if (at === null) return 'never';
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 100) return `${seconds} s ago`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 2 * 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

function rulesOf(findings: readonly FindingView[]): string {
  return [...new Set(findings.map(({ rule }) => rule))].join(', ');
}

function slotWords({ slots }: DeviceView): string {
  return slots.map(({ slot, version }) => `${slot} ${cleanText(version ?? '-')}`).join('\n');
}

/** All devices, one line each. */
export function deviceTable(output: Output, devices: readonly DeviceView[], now: number): string {
  if (devices.length === 0) return 'no device has asked to enrol yet: start touchstone agent on one';
  return table(
    ['device', 'label', 'condition', 'verdict', 'slots', 'heard', 'what to do now'],
    devices.map((device) => [
      device.id.slice(0, 12),
      cleanText(device.label ?? '-'),
      painted(output, device.condition),
      device.verdict === null
        ? '-'
        : `${device.verdict.status} ${device.verdict.assurance}\n${rulesOf(device.verdict.findings)}`.trimEnd(),
      slotWords(device),
      ago(device.lastSeen, now),
      device.now,
    ]),
  );
}

function findingText(
  output: Output,
  { rule, status, subject, expected, found, source, demands, now }: FindingView,
): string[] {
  return [
    `  ${painted(output, status)} ${output.paint('bold', rule)} (${cleanText(subject)}): ${demands}`,
    `    expected:   ${cleanText(expected)}`,
    `    found:      ${cleanText(found)}`,
    `    says who:   ${cleanText(source)}`,
    `    what to do: ${now}`,
  ];
}

function verdictText(output: Output, { verdict }: DeviceView, now: number): string[] {
  if (verdict === null) return ['verdict     none yet'];
  const until =
    verdict.until === null ? '' : verdict.until > now ? ', still valid' : `, ran out ${ago(verdict.until, now)}`;
  const head = `verdict     ${painted(output, verdict.status)}, assurance ${verdict.assurance}, ${ago(verdict.at, now)}${until}`;
  return [head, ...verdict.findings.flatMap((finding) => findingText(output, finding))];
}

function troubleText(output: Output, { trouble }: DeviceView, now: number): string[] {
  if (trouble === null) return [];
  const head = `not accepted ${ago(trouble.at, now)}: evidence that is the device's own, and does not hold together`;
  return [output.paint('red', head), ...trouble.findings.flatMap((finding) => findingText(output, finding))];
}

function enrolmentText(output: Output, device: DeviceDetail): string[] {
  const { endorsement, enrolment, tpm } = device;
  const made =
    tpm === null ? '' : `, ${cleanText(`${tpm.vendor ?? tpm.manufacturer} ${tpm.model} ${tpm.version}`.trim())}`;
  if (endorsement !== null) {
    const { tier, approvedBy } = endorsement;
    return [`tpm         ${tier}${made}; approved by ${cleanText(approvedBy)}`];
  }
  if (enrolment === null) return [];
  const certificate = enrolment.hasEkCertificate ? 'with' : 'without';
  return [
    `tpm         ${device.tier}${made}; its two keys are proven to be of one TPM, ${certificate} EK certificate`,
    ...enrolment.findings.flatMap((finding) => findingText(output, finding)),
  ];
}

/** `install 3f2a… into detector: waits for the device`. */
export function commandText({ body, outcome }: CommandView): string {
  const { kind, slot, release } = body as { kind: string; slot?: string; release?: string };
  const what = kind === 'install' ? `install ${(release ?? '').slice(0, 12)} into ${slot ?? ''}` : kind;
  if (outcome === null) return `${what}: waits for the device`;
  const { rule, detail } = outcome as { rule: string; detail: string };
  return cleanText(`${what}: ${rule}: ${detail}`);
}

function floorText({ floors, floorsCertified }: DeviceView, slot: string): string {
  const found = floors.find((one) => one.slot === slot);
  if (found === undefined) return 'none in hardware';
  return `${found.floor}, ${floorsCertified ? 'certified by its TPM' : 'as it claims'}`;
}

/** Everything about one device. */
export function deviceText(output: Output, device: DeviceDetail, now: number): string {
  const { id, label, condition, profile, slots, commands, history, lastSeen, generation } = device;
  const lines = [
    `device      ${id}${label === null ? '' : ` (${cleanText(label)})`}`,
    `condition   ${painted(output, condition)}${device.state === condition ? '' : `; ${device.state}`}`,
    `do now      ${device.now}`,
    `profile     ${cleanText(profile)}; heard ${ago(lastSeen, now)}; evidence accepted ${generation} times`,
    ...enrolmentText(output, device),
    ...(device.escrow === null ? [] : [`escrow      auth values of its TPM, sealed, ${ago(device.escrow.at, now)}`]),
    ...verdictText(output, device, now),
    ...troubleText(output, device, now),
  ];
  if (slots.length > 0) {
    const rows = slots.map((slot) => [
      slot.slot,
      painted(output, slot.status),
      cleanText(
        `${slot.version ?? '-'}${slot.plannedChange === null ? '' : ` (planned change ${slot.plannedChange})`}`,
      ),
      slot.release?.slice(0, 12) ?? '-',
      slot.state,
      floorText(device, slot.slot),
    ]);
    lines.push('', table(['slot', 'status', 'version', 'release', 'the device says', 'version floor'], rows));
  }
  if (device.floorRequest !== null) {
    lines.push(`asks for its version floors: touchstone floor request ${id.slice(0, 12)} --out FILE`);
  }
  if (commands.length > 0) lines.push('', 'commands', ...commands.map((command) => `  ${commandText(command)}`));
  if (history.length > 0) {
    const shown = history.slice(0, 15).map(({ at, kind, text }) => `  ${ago(at, now)}: ${kind}: ${cleanText(text)}`);
    lines.push('', 'history', ...shown);
  }
  return lines.join('\n');
}
