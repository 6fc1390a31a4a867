// Speaks with PostgreSQL the one way this product uses it: durable, migrated forward by one of many, and bounded in time.
import { userInfo } from 'node:os';
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { checkServerIdentity } from 'node:tls';
// pg, not postgres or an ORM: it gives up on a connection that went silent, reads pgpass files itself, and all our SQL is in two files anyway.
import { Pool, types } from 'pg';
import type { ClientBase, PoolConfig } from 'pg';
import { ConfigError, StoreError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

export interface PostgresOptions {
  /** postgres://USER@HOST:PORT/DATABASE, with sslmode and sslrootcert for another machine; postgres:///DATABASE?host=FOLDER for a socket. */
  readonly url: string;
  /** The schema that holds the tables: what else is in the database is not touched. */
  readonly schema: string;
  /** Step i (from 1) takes the schema from i − 1 to i; a released step is never edited. */
  readonly migrations: readonly string[];
  /** Name of the lock under which one of many migrates. */
  readonly lock: number;
}

const MAX_CONNECTIONS = 8;
const CONNECT_MS = 5000;
/** The server ends a statement after this; we end the connection to a server that does not even do that. */
const STATEMENT_MS = 10_000;
const SILENT_MS = 15_000;
/** A transaction that was undone to resolve a deadlock is tried again so often. */
const TRIES = 5;

/** Counters and times: all of them below 2^53. */
const PARSERS: NonNullable<PoolConfig['types']> = {
  getTypeParser: ((...[oid, format]: Parameters<typeof types.getTypeParser>) =>
    oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

/** What the server must be to this connection, whatever its configuration says otherwise. */
const SESSION = `SELECT set_config('default_transaction_isolation', 'read committed', false), set_config('search_path', '', false),
  set_config('idle_in_transaction_session_timeout', '${STATEMENT_MS}', false),
  CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END`;

type AddressPart = 'host' | 'user' | 'sslmode' | 'sslrootcert';

export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** False where nobody is in between: a socket, or this machine. */
  readonly ssl: false | { readonly ca: string | undefined };
  /** For messages. */
  readonly name: string;
}

function invalid(why: string): never {
  throw new ConfigError('CONFIG_INVALID', `the registry's address: ${why}`);
}

function parametersOf(url: URL): Partial<Record<AddressPart, string>> {
  const known = new Set<string>(['host', 'user', 'sslmode', 'sslrootcert'] satisfies AddressPart[]);
  for (const name of url.searchParams.keys()) if (!known.has(name)) invalid(`it may not say ${name}`);
  return Object.fromEntries(url.searchParams) as Partial<Record<AddressPart, string>>;
}

/** Errors: ConfigError CONFIG_INVALID that says what is wrong; never with the address in it, which may hold a password by mistake. */
export function readPostgresUrl(text: string): PostgresAddress {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:')) {
    return invalid('it is not of the form postgres://USER@HOST/DATABASE');
  }
  if (url.password !== '')
    invalid('it holds a password: put that into PGPASSWORD, or into a file that PGPASSFILE names');
  const { host: elsewhere, user, sslmode, sslrootcert } = parametersOf(url);
  const host = (elsewhere ?? decodeURIComponent(url.hostname)).replace(/^\[(.*)\]$/, '$1') || 'localhost';
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '' || database.includes('/')) invalid('it names no database');
  const isHere =
    host.startsWith('/') || host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
  const mode = sslmode ?? (isHere ? 'disable' : 'verify-full');
  if (mode !== 'verify-full' && !(mode === 'disable' && isHere)) {
    invalid(
      `sslmode is ${isHere ? 'disable or verify-full' : 'verify-full'}: whoever is in between could answer for it`,
    );
  }
  const port = url.port === '' ? 5432 : Number(url.port);
  return {
    host,
    port,
    database,
    user: user ?? (url.username === '' ? userInfo().username : decodeURIComponent(url.username)),
    ssl: mode === 'disable' ? false : { ca: sslrootcert === undefined ? undefined : readAuthority(sslrootcert) },
    name: `the database ${database} at ${host}${host.startsWith('/') ? '' : `:${port}`}`,
  };
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(
      'CONFIG_MISSING',
      `${path}, which the registry's address names as sslrootcert, cannot be read`,
      {
        cause,
      },
    );
  }
}

/** SQLSTATE, or its class, and what it means for us. What is not here is STORE_FAILED. */
const MEANING: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['08', 'STORE_UNAVAILABLE'],
  // Shutting down, starting, crashed; a statement that took too long; no more connections.
  ['57', 'STORE_UNAVAILABLE'],
  ['53300', 'STORE_UNAVAILABLE'],
  // In recovery: a standby that is not the primary yet, or a primary that is none any more.
  ['25006', 'STORE_UNAVAILABLE'],
  ['25P03', 'STORE_UNAVAILABLE'],
  ['28', 'STORE_REFUSED'],
  ['3D', 'STORE_REFUSED'],
  ['42501', 'STORE_REFUSED'],
  ['XX001', 'STORE_CORRUPT'],
  ['XX002', 'STORE_CORRUPT'],
]);
const RETRIED = new Set(['40001', '40P01']);
/** What pg itself says without a code: of a server that is not who it should be, or wants a password; of a connection. */
const NOT_LET_IN = /SSL|SASL|password/;
const NO_CONNECTION = /connection|timeout|not queryable/i;
/** Codes of a certificate that does not hold. */
const NOT_BELIEVED = /CERT|UNABLE_TO_|ERR_TLS|ERR_SSL/;

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function meaningOf(cause: Error, code: string): ErrorCode {
  if (code === '' ? NOT_LET_IN.test(cause.message) : NOT_BELIEVED.test(code)) return 'STORE_REFUSED';
  const isAway = code === '' ? NO_CONNECTION.test(cause.message) : 'syscall' in cause || code === 'EPIPE';
  return isAway ? 'STORE_UNAVAILABLE' : 'STORE_FAILED';
}

/** The StoreError for whatever pg threw; bugs (TypeError, RangeError) pass unchanged. */
function storeError(name: string, cause: unknown): Error {
  if (cause instanceof StoreError || cause instanceof TypeError || cause instanceof RangeError) return cause;
  if (!(cause instanceof Error)) return new StoreError('STORE_FAILED', name, { cause });
  const code = codeOf(cause);
  const meaning = MEANING.get(code) ?? MEANING.get(code.slice(0, 2)) ?? meaningOf(cause, code);
  // An error for each address that a name stands for has no words of its own.
  const words = cause.message === '' ? code : cause.message;
  return new StoreError(meaning, `${name}: ${words}`, { cause });
}

/** Without what PostgreSQL holds in no text, and anybody can say. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

function parameter(value: unknown): unknown {
  if (typeof value === 'string') return storable(value);
  return Array.isArray(value) ? value.map(parameter) : value;
}

export class Postgres implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #name: string;

  private constructor(pool: Pool, name: string) {
    this.#pool = pool;
    this.#name = name;
  }

  /**
   * Connects, checks and migrates. Errors: ConfigError; StoreError STORE_UNAVAILABLE, STORE_REFUSED, STORE_NEWER, STORE_CORRUPT,
   * STORE_FAILED.
   */
  static async open(options: PostgresOptions): Promise<Postgres> {
    const { name, ssl, ...address } = readPostgresUrl(options.url);
    const pool = new Pool({
      ...address,
      // pg itself would ask the certificate of an address in digits for another name.
      ssl: ssl && {
        ...ssl,
        checkServerIdentity: (_host, certificate) => checkServerIdentity(address.host, certificate),
      },
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: SILENT_MS,
      keepAlive: true,
      application_name: 'touchstone',
      types: PARSERS,
      // Waited for before the connection is used; declared as if it were not.
      onConnect: (async (client: ClientBase) => client.query(SESSION)) as unknown as (client: ClientBase) => void,
    });
    // Of a connection that nobody uses now: the next one who needs one hears of it himself.
    pool.on('error', () => undefined);
    try {
      await migrate(pool, options, name);
      return new Postgres(pool, name);
    } catch (cause) {
      await pool.end().catch(() => undefined);
      throw storeError(name, cause);
    }
  }

  /** Rows of one statement, which is a transaction of its own. Errors: StoreError. */
  async rows<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    for (let tries = 1; ; tries++) {
      try {
        return (await this.#pool.query<R>({ text, values: values.map(parameter) })).rows;
      } catch (cause) {
        if (tries < TRIES && cause instanceof Error && RETRIED.has(codeOf(cause))) continue;
        throw storeError(this.#name, cause);
      }
    }
  }

  /** The first row, or null. Errors: StoreError. */
  async row<R extends object>(text: string, values: readonly unknown[] = []): Promise<R | null> {
    return (await this.rows<R>(text, values))[0] ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end();
  }
}

/** In one transaction, under a lock that the next controller waits for. */
async function migrate(pool: Pool, { schema, migrations, lock }: PostgresOptions, name: string): Promise<void> {
  const client = await pool.connect();
  try {
    const ask = async <T>(text: string, values: unknown[] = []): Promise<T | undefined> =>
      (await client.query<{ value: T }>(text, values)).rows[0]?.value;
    if ((await ask<string>(`SELECT current_setting('fsync') AS value`)) === 'off') {
      throw new StoreError(
        'STORE_FAILED',
        `${name} runs with fsync off: what it has taken may be gone after a power cut`,
      );
    }
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [lock]);
    // A schema that was made for us, empty, is as good: then we need no right to make one.
    if ((await ask(`SELECT to_regnamespace($1)::text AS value`, [schema])) === null) {
      await client.query(`CREATE SCHEMA ${schema}`);
    }
    const isOurs = (await ask(`SELECT to_regclass($1)::text AS value`, [`${schema}.migration`])) !== null;
    const tables = await ask<number>(
      'SELECT count(*) AS value FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace($1)',
      [schema],
    );
    if (!isOurs && tables !== 0) {
      throw new StoreError('STORE_CORRUPT', `${name}: the schema ${schema} is another program's`);
    }
    if (!isOurs)
      await client.query(`CREATE TABLE ${schema}.migration (step integer PRIMARY KEY, at timestamptz NOT NULL)`);
    const version = (await ask<number>(`SELECT coalesce(max(step), 0) AS value FROM ${schema}.migration`)) ?? 0;
    if (version > migrations.length) {
      throw new StoreError('STORE_NEWER', `${name} has schema ${version}, this version knows ${migrations.length}`);
    }
    for (const [i, step] of migrations.entries()) {
      if (i < version) continue;
      await client.query(step);
      await client.query(`INSERT INTO ${schema}.migration VALUES ($1, now())`, [i + 1]);
    }
    await client.query('COMMIT');
    client.release();
  } catch (error) {
    // The connection ends, and the transaction with it.
    client.release(true);
    throw error;
  }
}
