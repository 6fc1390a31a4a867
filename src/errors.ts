// Operation failures: one class per layer, a closed set of codes, and what a person should do next.

/** Every code an operation failure can carry, with the sentence that tells a person what to do next. */
export const ERROR_CODES = {
  WIRE_SHORT: 'the bytes end before the structure does; the sender or the file is truncated',
  WIRE_TRAILING: 'bytes are left over after the structure; the sender is broken or hostile',
  WIRE_RANGE: 'a field is outside the values its format allows',
  WIRE_LIMIT: 'a field is larger than this product accepts',
  WIRE_MALFORMED: 'the bytes are not of the format they should be',
  TPM_UNAVAILABLE: 'check that the TPM device or swtpm is there and this user may open it: touchstone tpm doctor',
  TPM_RESPONSE: 'the TPM refused the command; the message names the handle, session or parameter at fault',
  TPM_TIMEOUT: 'the TPM did not answer in time; the process must be restarted to be sure of its state',
  TPM_SESSION: 'the TPM response does not authenticate; something between this process and the TPM alters traffic',
  TPM_MOVED: 'the TPM was reset, or its event PCR extended by someone else; the agent starts again and the log says so',
  STORE_CORRUPT: 'the journal or registry fails its own consistency check; restore it or start a new state directory',
  STORE_FAILED: 'the database could not be read or written; check disk space, permissions and mount options',
  STORE_UNAVAILABLE:
    'the database server does not answer, or not as one that may be written to; check that it runs and can be reached',
  STORE_REFUSED:
    'the database refused the login or lacks something; check user, database, rights, certificate, PGPASSWORD or PGPASSFILE',
  STORE_NEWER: 'the database was written by a newer version of touchstone; upgrade this installation',
  BUS_UNAVAILABLE: 'the MQTT broker cannot be reached; check its address, certificates and that it runs',
  BUS_REFUSED: 'the MQTT broker refused the connection or the publication; check certificates and its access list',
  CONFIG_INVALID: 'a configuration file is not valid; the message names the field',
  CONFIG_MISSING: 'a file that this command needs is not there',
  KEY_INVALID: 'the key file cannot be used for this; the message says what it is and what to do instead',
  ALREADY_THERE: 'nothing is ever overwritten; choose another place, or move away what is there',
  RELEASE_INVALID: 'the release cannot be read or made as asked; the message says which file',
  TRANSFER_UNAVAILABLE:
    'the release could not be fetched; check the way to the server, then ask again: what has come is kept',
  TRANSFER_REFUSED:
    'the server may not be asked, or does not give what the release needs; the message says which file and why',
  DISK_FULL: 'there is not enough free space; the message says how much is needed and where',
  DISK_FAILED: 'the disk could not be written or read; look at it and at how it is mounted',
  MEASURE_FAILED: 'a file could not be measured; the message names it',
  USAGE: 'the command was called with arguments it cannot use; see --help',
  AGENT_UNAVAILABLE: 'no agent runs on this state directory, or it is another user’s; start it with: touchstone agent',
  CONTROL_UNAVAILABLE: 'the controller is not running on this state directory; start it with: touchstone controller',
  CONTROL_REFUSED: 'the controller refused the request; the message says why',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A failed operation. A bug throws TypeError or RangeError instead; a security judgement is a value, never an error. */
export class TouchstoneError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Bytes that are not what their format says. `field` is the dotted path, `offset` the byte offset in the outermost buffer. */
export class WireError extends TouchstoneError {
  readonly field: string;
  readonly offset: number;

  constructor(
    code: Extract<ErrorCode, `WIRE_${string}`>,
    message: string,
    where: { field: string; offset: number },
    options?: ErrorOptions,
  ) {
    super(code, `${where.field || 'value'} at byte ${where.offset}: ${message}`, options);
    this.field = where.field;
    this.offset = where.offset;
  }
}

export class StoreError extends TouchstoneError {}
export class BusError extends TouchstoneError {}
export class ConfigError extends TouchstoneError {}
export class ReleaseError extends TouchstoneError {}
export class MeasureError extends TouchstoneError {}

/** What may be over in a moment, and is waited for: a broker or a database that is gone. */
export function isPassing(error: unknown): boolean {
  return error instanceof BusError || (error instanceof StoreError && error.code === 'STORE_UNAVAILABLE');
}
