// What goes wrong between this process and a TPM.
import { TouchstoneError } from '../errors.ts';
import { explainRc, type ResponseCode } from './rc.ts';

/** A failed TPM operation: the TPM is not reached, does not answer in time, or answers what it must not. */
export class TpmError extends TouchstoneError {}

function faultText({ subject, index }: ResponseCode): string {
  return subject === null || index === null ? '' : `, ${subject} ${index}`;
}

/** The TPM (or the resource manager before it) refused a command. */
export class TpmResponseError extends TpmError {
  readonly command: string;
  readonly rc: number;
  readonly rcName: string;
  readonly meaning: string;
  /** Which part of the command is at fault, `index` counted from 1. */
  readonly subject: ResponseCode['subject'];
  readonly index: number | null;

  constructor(command: string, rc: number) {
    const explained = explainRc(rc);
    const by = explained.layer === 'tpm' ? '' : ` (from the ${explained.layer})`;
    super(
      'TPM_RESPONSE',
      `${command}: ${explained.name} 0x${rc.toString(16).padStart(3, '0')}${by}${faultText(explained)}: ${explained.meaning}`,
    );
    this.command = command;
    this.rc = rc;
    this.rcName = explained.name;
    this.meaning = explained.meaning;
    this.subject = explained.subject;
    this.index = explained.index;
  }

  /** Whether this is the given format-one code (such as 0x8b), whatever part of the command it blames. */
  is(code: number): boolean {
    return (code & 0x80) === 0 ? this.rc === code : (this.rc & 0x80) !== 0 && (this.rc & 0xbf) === code;
  }
}

/** Whether `error` is the refusal with this code; see TpmResponseError.is. */
export function isRefusal(error: unknown, code: number): boolean {
  return error instanceof TpmResponseError && error.is(code);
}
