import { LuaFactory, LuaLibraries } from 'wasmoon';

/** What Argo CD's Lua answers. */
export interface Health {
  readonly status: string;
  readonly message?: string;
}

/** Judges objects with one health script, as Argo CD does. */
export type Judge = (object: object) => Promise<Health>;

const factory = new LuaFactory();

/** A judge that runs a script in a fresh Lua with the libraries that Argo CD opens: base and table, so that a call of string.format fails here, too. */
export function judgeOf(script: string): Judge {
  return async (object) => {
    const lua = await factory.createEngine({ openStandardLibs: false });
    try {
      lua.global.loadLibrary(LuaLibraries.Base);
      lua.global.loadLibrary(LuaLibraries.Table);
      return (await lua.doString(`obj = ${literal(object)}\n${script}`)) as Health;
    } finally {
      lua.global.close();
    }
  };
}

/** A JSON value as Lua writes it. A null is left out, as an absent field is. */
function literal(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`;
  const fields = Object.entries(value).map(([key, field]) => `[${text(key)}] = ${literal(field)}`);
  return `{${fields.join(', ')}}`;
}

/** Byte by byte, so that no character means anything to Lua. */
function text(value: string): string {
  return `"${[...Buffer.from(value)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`;
}
