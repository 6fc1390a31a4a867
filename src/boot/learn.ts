// Turns a golden device's boot into reference values, after checking that its logs explain its PCRs.
import { toHex } from '../bytes/text.ts';
import type { FirmwareLog } from './event-log.ts';
import { pcrUse } from './event-types.ts';
import { secureBootOf } from './explain.ts';
import type { SecureBoot } from './explain.ts';
import { IMA_PCR } from './ima-record.ts';
import type { ImaRecord } from './ima-record.ts';
import { bootAggregate, replayImaList } from './ima-replay.ts';
import type { ImaReplay } from './ima-replay.ts';
import { replayFirmwareLog } from './pcr-replay.ts';
import type { PcrValues } from './pcr-replay.ts';

export interface GoldenBoot {
  readonly log: FirmwareLog;
  /** The kernel's list; null: not given. */
  readonly ima: readonly ImaRecord[] | null;
  /** What the TPM said; null: the log alone is believed. */
  readonly pcrs: PcrValues | null;
  /** The profile's boot PCRs. */
  readonly wanted: readonly number[];
}

export interface LearnedBoot {
  /** Values of the wanted PCRs, hex. Of use only without faults. */
  readonly pcrs: Readonly<Record<string, string>>;
  /** What each wanted PCR holds, in words. */
  readonly uses: Readonly<Record<string, string>>;
  readonly secureBoot: SecureBoot;
  /** How far the kernel's list explains PCR 10; null where list or PCR was not given. */
  readonly ima: ImaReplay | null;
  /** Why this boot must not be learned; empty: it may. */
  readonly faults: readonly string[];
  /** What a person should know all the same. */
  readonly notes: readonly string[];
}

/** The value of one wanted PCR, or the reason why there is none. */
function valueOf(pcr: number, replayed: PcrValues, told: PcrValues | null): { value: Buffer } | { fault: string } {
  if (pcr === IMA_PCR)
    return { fault: 'PCR 10 changes with every file that the kernel measures: not a reference value' };
  const own = replayed.get(pcr);
  const said = told?.get(pcr);
  if (told !== null && said === undefined) return { fault: `PCR ${pcr} is not among the values of the TPM` };
  if (own === undefined) {
    return said === undefined
      ? { fault: `the event log says nothing of PCR ${pcr}: give the values of the TPM` }
      : { value: said };
  }
  if (said === undefined || said.equals(own)) return { value: own };
  return { fault: `PCR ${pcr}: the event log gives ${toHex(own)}, the TPM ${toHex(said)}` };
}

function checkIma(
  records: readonly ImaRecord[],
  replayed: PcrValues,
  told: PcrValues | null,
  faults: string[],
): ImaReplay | null {
  const aggregate = bootAggregate(records, replayed);
  if (aggregate === 'other')
    faults.push("the kernel's list is of another boot than the event log: boot_aggregate differs");
  if (aggregate === 'missing') faults.push("the kernel's list does not begin with a SHA-256 boot_aggregate");
  const quoted = told?.get(IMA_PCR);
  if (quoted === undefined) return null;
  const replay = replayImaList(records, quoted);
  if (replay === null) faults.push(`the kernel's list does not explain PCR 10 (${toHex(quoted)})`);
  return replay;
}

/** Never throws for what the logs say: that is a fault of the result. */
export function learnBoot({ log, ima, pcrs: told, wanted }: GoldenBoot): LearnedBoot {
  const replayed = replayFirmwareLog(log);
  const [faults, notes]: [string[], string[]] = [[], []];
  const pcrs: Record<string, string> = {};
  for (const pcr of wanted) {
    const found = valueOf(pcr, replayed, told);
    if ('fault' in found) faults.push(found.fault);
    else pcrs[String(pcr)] = toHex(found.value);
    if ('value' in found && !replayed.has(pcr))
      notes.push(`PCR ${pcr} is as the TPM says; the event log does not explain it`);
  }
  if (wanted.length === 0) faults.push('the profile names no boot PCRs: there is nothing to learn');
  if (told === null) notes.push('no values of the TPM were given: the event log is believed without proof');
  const replay = ima === null ? null : checkIma(ima, replayed, told, faults);
  if (replay !== null && replay.violations > 0) {
    notes.push(`${replay.violations} files could not be measured soundly (violations in the kernel's list)`);
  }
  const uses = Object.fromEntries(wanted.map((pcr) => [pcr, pcrUse(pcr)]));
  return { pcrs, uses, secureBoot: secureBootOf(log), ima: replay, faults, notes };
}
