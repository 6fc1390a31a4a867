// An evidence message line by line for a person: what each part says, and what holds the parts together.
import { shortHex, timeText, toHex } from '../bytes/text.ts';
import type { EngineEvent, SlotEvent } from '../cel/events.ts';
import type { Claims } from '../evidence/claims.ts';
import type { Challenge } from '../protocol/messages.ts';
import type { Epoch } from '../tpm/port.ts';
import { isBroken } from './evidence-document.ts';
import type {
  Agreement,
  Broken,
  EvidenceDocument,
  ShownFloors,
  ShownLog,
  ShownQuote,
  ShownRecord,
} from './evidence-document.ts';
import { cleanText, table } from './output.ts';

const epochText = (epoch: Epoch): string => `reset ${epoch.resetCount}, restart ${epoch.restartCount}`;
const listText = (items: readonly (string | number)[]): string => items.join(', ') || 'none';
const hexOrNone = (bytes: Uint8Array | null): string => (bytes === null ? 'none' : shortHex(bytes));

function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return ['', title, ...rows.map(([label, text]) => `  ${label.padEnd(width)}  ${cleanText(text)}`)];
}

function brokenSection(title: string, { malformed }: Broken): string[] {
  return section(title, [['malformed', malformed]]);
}

function indented(text: string): string[] {
  return text.split('\n').map((line) => `  ${line}`);
}

function challengeLines({ bytes, says }: EvidenceDocument['challenge']): string[] {
  const title = `Challenge, ${bytes} bytes with its MAC: what the controller asked`;
  if (isBroken(says)) return brokenSection(title, says);
  return section(title, challengeRows(says));
}

function challengeRows(says: Challenge): (readonly [string, string])[] {
  const from = says.epoch === null ? 'the whole log' : `records after ${says.afterSeq} in ${epochText(says.epoch)}`;
  return [
    ['fleet', toHex(says.fleetId)],
    ['device', says.deviceId],
    ['issued', `${timeText(says.issuedAt)} by the controller's clock`],
    ['nonce', toHex(says.nonce)],
    ['generation', `${says.generation}`],
    ['PCRs', `${listText(says.pcrs)} of ${says.bank}`],
    ['log', from],
    ['policy', toHex(says.policyDigest)],
    ['MAC key', says.kid],
  ];
}

/** Boot PCRs have no numbers of their own: they come in the order of the challenge, which leaves out one, the event PCR. */
function bootRows({ bootPcrs }: Claims, { challenge, log }: EvidenceDocument): (readonly [string, string])[] {
  const eventPcr = isBroken(log) ? undefined : log.records?.[0]?.pcr;
  const asked = isBroken(challenge.says) ? [] : challenge.says.pcrs.filter((pcr) => pcr !== eventPcr);
  const known = eventPcr !== undefined && asked.length === bootPcrs.length;
  return bootPcrs.map((value, i) => [known ? `PCR ${asked[i] ?? ''}` : `boot PCR ${i + 1}`, toHex(value)]);
}

function claimsRows(says: Claims, document: EvidenceDocument): (readonly [string, string])[] {
  const records = says.logTo < says.logFrom ? 'none new' : `${says.logFrom} to ${says.logTo}`;
  return [
    ['fleet', toHex(says.fleetId)],
    ['device', says.deviceId],
    ['agent', `${says.agentVersion}, session ${toHex(says.session)}`],
    ['profile', `${says.profile} ${toHex(says.profileDigest)}`],
    ['epoch', epochText(says.epoch)],
    ['records', records],
    ['commands', says.lastSeq === 0 ? 'none in this session' : `up to ${says.lastSeq} in this session`],
    ['measured', `${says.measuredAgo} ms before the quote`],
    ['clock', `${timeText(says.now)} by the device's clock`],
    ...bootRows(says, document),
    ...(says.breakGlass ?? []).map(
      ({ slot, leftMs, reason }) => ['break-glass', `slot ${slot}, for ${leftMs} ms more: ${reason}`] as const,
    ),
    ...(says.floors ?? []).map(({ slot, floor }) => ['floor', `${floor ?? 'none'} of slot ${slot}`] as const),
  ];
}

function claimsLines(document: EvidenceDocument): string[] {
  const { bytes, says } = document.claims;
  const title = `Claims, ${bytes} bytes: what the device says of itself`;
  if (isBroken(says)) return brokenSection(title, says);
  const lines = section(title, claimsRows(says, document));
  if (says.slots.length > 0) {
    const rows = says.slots.map(({ slot, state, release, version, securityVersion }) => [
      slot,
      state,
      cleanText(version ?? '-'),
      `${securityVersion ?? '-'}`,
      hexOrNone(release),
    ]);
    lines.push('', ...indented(table(['slot', 'state', 'version', 'security version', 'release'], rows)));
  }
  if (says.reports.length > 0) {
    const rows = says.reports.map(({ session, n, kind, rule, slot, detail }) =>
      [`${shortHex(session)}/${n}`, kind, rule, slot ?? '-', detail].map((cell) => cleanText(cell)),
    );
    lines.push('', ...indented(table(['report', 'kind', 'rule', 'slot', 'detail'], rows)));
  }
  return lines;
}

function slotText({ slot, cause, release, manifest, differing, more }: SlotEvent): string {
  const count = differing.length + more;
  const files = count === 0 ? 'no differing file' : `differing files: ${count}`;
  const held = release === null ? 'no release' : `release ${shortHex(release)}`;
  return `slot ${slot} ${cause}: ${held}, manifest ${shortHex(manifest)}, ${files}`;
}

function engineText({ slot, cause, statement, compiler, engine }: EngineEvent): string {
  const made = engine === null ? 'none any more' : `${shortHex(engine)}, by runtime ${shortHex(compiler)}`;
  return `engine of slot ${slot} ${cause}, from statement ${shortHex(statement)}: ${made}`;
}

function eventText({ event }: ShownRecord): string {
  if (event.type === 'boot') return `boot of ${event.deviceId}: ${event.why}`;
  if (event.type === 'slot') return slotText(event);
  if (event.type === 'engine') return engineText(event);
  if (event.type === 'foreign-extension') {
    return `somebody else extended the PCR: it held ${shortHex(event.found)}`;
  }
  return `agent start, session ${shortHex(event.session)}; the run before: ${event.previous}`;
}

function differingLines({ event }: ShownRecord): string[] {
  if (event.type !== 'slot') return [];
  return event.differing.map(({ path, expected, found }) =>
    cleanText(`         ${path}: expected ${hexOrNone(expected)}, found ${hexOrNone(found)}`),
  );
}

function logLines(log: ShownLog | Broken): string[] {
  if (isBroken(log)) return brokenSection('Log', log);
  const where = log.parts === 0 ? 'in the message' : `sent before the message in ${log.parts} parts`;
  const title = `Log, ${log.bytes} bytes, ${where}: what was extended into the event PCR`;
  if (log.records === null)
    return section(title, [['records', 'not at hand: join the parts and name them with --log']]);
  const lines = log.records.flatMap((record) => {
    const fault = record.digestFits ? '' : '  DIGEST IS NOT OF THIS CONTENT';
    const start = `${`${record.recnum}`.padStart(6)}  PCR ${record.pcr}  ${shortHex(record.digest)}`;
    return [`${start}  ${cleanText(eventText(record))}${fault}`, ...differingLines(record)];
  });
  const end = log.replayed === null ? [] : [`  from zero PCRs these lead to ${log.replayed}`];
  return ['', title, ...(lines.length === 0 ? ['  no records'] : lines), ...end];
}

function quoteLines(quote: ShownQuote | Broken): string[] {
  if (isBroken(quote)) return brokenSection('Quote', quote);
  const selection = (quote.selection ?? []).map(({ bank, pcrs }) => `${listText(pcrs)} of ${bank}`);
  return section(`Quote, ${quote.bytes} bytes: what the TPM signed`, [
    ['kind', quote.madeByTpm ? quote.type : `${quote.type}, but not marked as made by a TPM`],
    ['signer', quote.qualifiedSigner],
    ['bound data', quote.qualifyingData],
    ['TPM clock', `${quote.clock} ms of power${quote.safe ? '' : ' (perhaps up to 4 s behind)'}`],
    ['epoch', epochText(quote)],
    ['firmware', quote.firmwareVersion],
    ['PCRs', listText(selection)],
    ['PCR digest', quote.pcrDigest ?? 'none'],
  ]);
}

function signatureLines(signature: EvidenceDocument['signature']): string[] {
  if (isBroken(signature)) return brokenSection('Signature', signature);
  const { bytes, scheme, hash } = signature;
  return section(`Signature, ${bytes} bytes`, [
    ['kind', `${scheme} with ${hash}; not verified: that takes the device's endorsement`],
  ]);
}

function floorLines(floors: ShownFloors | Broken | null): string[] {
  if (floors === null) return [];
  const title = 'Certificate of the version floors, in the claims: what the TPM signed of them; not verified either';
  if (isBroken(floors)) return brokenSection(title, floors);
  return section(title, [
    ['kind', floors.madeByTpm ? floors.type : `${floors.type}, but not marked as made by a TPM`],
    ['signer', floors.qualifiedSigner],
    ['made for this challenge', word(floors.forThisChallenge)],
    ['index', floors.indexName],
    ['floors', `${listText(floors.floors)} from byte ${floors.offset}`],
  ]);
}

const word = (agrees: boolean | null): string =>
  agrees === null ? 'cannot be told from this file' : agrees ? 'yes' : 'NO';

function agreementLines(document: EvidenceDocument, agreement: Agreement): string[] {
  const { challenge, claims, log } = document;
  return section('What holds it together (anybody can make these agree; only the signature proves that the TPM did)', [
    ['H(challenge)', challenge.sha256],
    ['H(claims)', claims.sha256],
    ['H(log)', isBroken(log) ? 'unknown' : log.sha256],
    ['the quote binds these three', word(agreement.quoteBindsMessage)],
    ...(agreement.partsFitMessage === null
      ? []
      : [['the parts are the log named', word(agreement.partsFitMessage)] as const]),
    ['log and claims give the PCR digest', word(agreement.logExplainsQuote)],
  ]);
}

/** Several lines, safe for a terminal whatever the evidence says. */
export function evidenceText(file: string, document: EvidenceDocument): string {
  return [
    `${cleanText(file)}: evidence, ${document.bytes} bytes, SHA-256 ${document.sha256}`,
    'not verified: this only explains what the bytes say',
    ...challengeLines(document.challenge),
    ...claimsLines(document),
    ...logLines(document.log),
    ...quoteLines(document.quote),
    ...signatureLines(document.signature),
    ...floorLines(document.floors),
    ...agreementLines(document, document.agreement),
  ].join('\n');
}
