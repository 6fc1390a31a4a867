// Checks of the quote against the log: do the selection, the PCR values and the records fit together without a gap?
import { shortHex, toHex } from '../../bytes/text.ts';
import { sha256 } from '../../crypto/digest.ts';
import { sameEpoch } from '../../tpm/port.ts';
import type { Epoch } from '../../tpm/port.ts';
import type { Check, Explained } from '../contexts.ts';
import { sameBytes } from '../same-bytes.ts';

const BANK_IDS = { sha256: 0x000b, sha384: 0x000c } as const;
/** The first PCR that some locality below 4 may reset (PC Client Platform TPM Profile, 4.6). */
const FIRST_RESETTABLE = 16;

const epochText = (epoch: Epoch): string => `reset ${epoch.resetCount}, restart ${epoch.restartCount}`;
const latin1Hex = (text: string): string => toHex(Buffer.from(text, 'latin1'));
const names = (pcrs: readonly number[]): string => (pcrs.length === 0 ? 'none' : pcrs.join(', '));

/** Values of the quoted PCRs in index order: the replayed one for the event PCR, the claimed one for the others. */
function quotedValues({ challenge, claims, input, replayed }: Explained): Uint8Array[] {
  let next = 0;
  return challenge.pcrs.map((pcr) =>
    pcr === input.reference.profile.eventPcr
      ? Buffer.from(replayed, 'latin1')
      : (claims.bootPcrs[next++] ?? new Uint8Array()),
  );
}

/** A log may start at 1, or go on after the row's last record when nothing reset the PCRs since. */
function mayStartAt({ challenge, claims, input, quote }: Explained): boolean {
  const { log } = input.row;
  if (claims.logFrom === 1) return true;
  if (log === null || challenge.epoch === null) return false;
  const goesOn = claims.logFrom === challenge.afterSeq + 1 && challenge.afterSeq === log.seq;
  return goesOn && sameEpoch(challenge.epoch, log.epoch) && sameEpoch(quote, log.epoch);
}

export const explainedChecks: readonly Check<Explained>[] = [
  {
    name: 'claims-device',
    run: ({ input, challenge, claims }, findings) => {
      const { deviceId } = input.endorsement.endorsement;
      if (claims.deviceId !== deviceId) {
        findings.add('claims-device', 'contraindicated', 'device', deviceId, claims.deviceId, 'endorsement');
      }
      if (!sameBytes(claims.fleetId, challenge.fleetId)) {
        const expected = `fleet ${toHex(challenge.fleetId)}`;
        findings.add(
          'claims-device',
          'contraindicated',
          'device',
          expected,
          `fleet ${toHex(claims.fleetId)}`,
          'challenge',
        );
      }
    },
  },
  {
    name: 'pcr-bank',
    run: ({ challenge, info }, findings) => {
      const expected = BANK_IDS[challenge.bank];
      if (info.selection.length === 1 && info.selection[0]?.bank === expected) return;
      const found = info.selection.map(({ bank }) => `0x${bank.toString(16)}`).join(', ') || 'no bank';
      findings.add('pcr-bank', 'contraindicated', 'device', `0x${expected.toString(16)} alone`, found, 'challenge');
    },
  },
  {
    name: 'pcr-selection',
    run: ({ challenge, info }, findings) => {
      const found = info.selection.flatMap(({ pcrs }) => pcrs);
      if (found.length === challenge.pcrs.length && found.every((pcr, i) => pcr === challenge.pcrs[i])) return;
      const expected = `PCRs ${names(challenge.pcrs)}`;
      findings.add('pcr-selection', 'contraindicated', 'device', expected, `PCRs ${names(found)}`, 'challenge');
    },
  },
  {
    name: 'event-pcr-quoted',
    run: ({ challenge, input, claims }, findings) => {
      const { eventPcr } = input.reference.profile;
      const boot = challenge.pcrs.length - 1;
      if (challenge.pcrs.includes(eventPcr) && claims.bootPcrs.length === boot) return;
      const expected = `the event PCR ${eventPcr} and ${boot} others`;
      const found = `PCRs ${names(challenge.pcrs)} asked for, ${claims.bootPcrs.length} values claimed`;
      findings.add('pcr-selection', 'contraindicated', 'device', expected, found, 'profile');
    },
  },
  {
    name: 'pcr-resettable',
    run: ({ challenge }, findings) => {
      const found = challenge.pcrs.filter((pcr) => pcr >= FIRST_RESETTABLE);
      if (found.length === 0) return;
      findings.add('pcr-resettable', 'contraindicated', 'device', 'PCRs 0 to 15', `PCRs ${names(found)}`, 'profile');
    },
  },
  {
    name: 'log-start',
    run: (context, findings) => {
      if (mayStartAt(context)) return;
      const { claims, input, quote } = context;
      const { log } = input.row;
      const expected = log === null ? 'record 1' : `record 1, or ${log.seq + 1} in the epoch ${epochText(log.epoch)}`;
      const found = `record ${claims.logFrom} in the epoch ${epochText(quote)}`;
      findings.add('log-start', 'contraindicated', 'device', expected, found, 'challenge');
    },
  },
  {
    name: 'log-consecutive',
    run: ({ claims, records }, findings) => {
      const wrong = records.find((record, i) => record.recnum !== claims.logFrom + i);
      if (wrong !== undefined) {
        const expected = `record ${claims.logFrom + records.indexOf(wrong)}`;
        findings.add('log-consecutive', 'contraindicated', 'device', expected, `record ${wrong.recnum}`, 'challenge');
      }
      const last = claims.logFrom + records.length - 1;
      if (claims.logTo !== last) {
        const expected = `records up to ${claims.logTo}, as claimed`;
        findings.add('log-consecutive', 'contraindicated', 'device', expected, `records up to ${last}`, 'challenge');
      }
    },
  },
  {
    name: 'log-pcr',
    run: ({ input, records }, findings) => {
      const { eventPcr } = input.reference.profile;
      const wrong = records.find((record) => record.pcr !== eventPcr);
      if (wrong === undefined) return;
      const found = `record ${wrong.recnum} of PCR ${wrong.pcr}`;
      findings.add('log-pcr', 'contraindicated', 'device', `PCR ${eventPcr}`, found, 'profile');
    },
  },
  {
    name: 'log-digest',
    run: ({ records, contentDigests }, findings) => {
      const wrong = records.find((record, i) => record.digest !== contentDigests[i]);
      if (wrong === undefined) return;
      const expected = shortHex(sha256(wrong.content));
      const found = `record ${wrong.recnum} with ${shortHex(latin1Hex(wrong.digest))}`;
      findings.add('log-digest', 'contraindicated', 'device', expected, found, 'challenge');
    },
  },
  {
    name: 'log-replay',
    run: (context, findings) => {
      const expected = sha256(...quotedValues(context));
      if (sameBytes(expected, context.info.pcrDigest)) return;
      const found = `${toHex(context.info.pcrDigest)} quoted`;
      findings.add('log-replay', 'contraindicated', 'device', `${toHex(expected)} by the log`, found, 'challenge');
    },
  },
  {
    name: 'claims-epoch',
    run: ({ claims, quote }, findings) => {
      if (sameEpoch(claims.epoch, quote)) return;
      const found = epochText(claims.epoch);
      findings.add('claims-epoch', 'contraindicated', 'device', `${epochText(quote)} as quoted`, found, 'challenge');
    },
  },
];
