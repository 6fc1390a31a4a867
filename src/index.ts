// The package's vocabulary: verdicts, findings, rules, errors, and the types of what devices, signers and controllers say.
export { ERROR_CODES, TouchstoneError, WireError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { Clock } from './clock.ts';
export { RULES } from './rules/catalogue.ts';
export type { RuleId } from './rules/catalogue.ts';
export type { Rule } from './rules/rule.ts';
export { STATUSES } from './rules/finding.ts';
export type { Finding, Status } from './rules/finding.ts';
export type { Epoch, PcrBank, PcrSelection, Quote, Tpm, TpmIdentity } from './tpm/port.ts';
export type { Profile, SlotProfile } from './profile/profile.ts';
export type { DifferingFile, LogEvent } from './cel/events.ts';
export type { Claims, Report, ReportName } from './evidence/claims.ts';
export type { FleetFile, ManifestEntry, Passport, RootStatement } from './release/types.ts';
export { ASSURANCES, PROTOCOL_VERSION } from './protocol/messages.ts';
export type { Assurance, Command, CommandBody, Endorsement, ResultStatement, Tier } from './protocol/messages.ts';
