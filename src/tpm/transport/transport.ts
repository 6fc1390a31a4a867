// The one method by which commands reach a TPM.

/** One connection to one TPM. Not re-entrant: the queue sends a command only after the answer to the one before. */
export interface TpmTransport {
  /** Sends one whole command and gives its whole response. Errors: TpmError (TPM_UNAVAILABLE); the connection is then dead. */
  transmit(command: Buffer): Promise<Buffer>;
  /** Ends the connection. In the middle of a command it returns too, but a TCTI then stays open until the process ends. */
  close(): Promise<void>;
  /** True where no resource manager stands between: whatever an earlier client left loaded is still there and ours to flush. */
  readonly raw: boolean;
}
