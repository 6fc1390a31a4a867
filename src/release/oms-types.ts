// The words of an OpenSSF Model Signing statement (predicate v1.0), and the files that its resources come to.

export interface OmsResource {
  /** A path; with shards `path:start:end`. */
  readonly name: string;
  /** Lower-case hex. */
  readonly digest: string;
  readonly algorithm: string;
}

export interface OmsSerialization {
  readonly method: 'files' | 'shards';
  readonly hash_type: string;
  /** Bytes; with shards only. */
  readonly shard_size?: number;
  readonly allow_symlinks: boolean;
  readonly ignore_paths?: readonly string[];
}

export interface OmsPart {
  /** Bytes start ≤ i < end; `end` null for the whole file. */
  readonly start: number;
  readonly end: number | null;
  readonly digest: Buffer;
}

export interface OmsFile {
  /** Relative to the model; `.` when the model is this one file and its name was not written down. */
  readonly path: string;
  /** Known only from shards. */
  readonly size: number | null;
  /** Ascending and without gaps. */
  readonly parts: readonly OmsPart[];
}
