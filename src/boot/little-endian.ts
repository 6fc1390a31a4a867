// Little-endian numbers, as firmware and kernel logs hold them, read through the bounded reader.
import type { Reader } from '../bytes/wire.ts';

export function u16le(from: Reader): number {
  return from.take(2).readUInt16LE();
}

export function u32le(from: Reader): number {
  return from.take(4).readUInt32LE();
}

/** UINT64 that must be at most `max`: a length or a count. */
export function u64le(from: Reader, max: number): number {
  const value = from.take(8).readBigUInt64LE();
  if (value > BigInt(max)) from.fail('WIRE_LIMIT', `${value}, at most ${max}`);
  return Number(value);
}

/** UINT32 size ‖ bytes, at most `max`. */
export function sized32le(from: Reader, max: number): Buffer {
  const size = u32le(from);
  if (size > max) from.fail('WIRE_LIMIT', `size ${size}, at most ${max}`);
  return from.take(size);
}
