import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import { Form } from "../../gen/haplane/settings/v1/options_pb.js";
import { parseAddress } from "../lib/address.ts";
import { MAX_ROUNDS, parseShaCrypt } from "../lib/sha-crypt.ts";
import { settingOf } from "./schema.ts";

/** One value of a setting, as the field has it. */
export type Value = string | number | boolean;

/** A value, or what is wrong with the text. The problem goes on after the setting's name: `is "x"; write …`. */
export type ReadValue = { readonly value: Value } | { readonly problem: string };

const MAX_NUMBER = 999_999_999;

/** Reads one value of a field from text. */
export function readValue(field: DescField, text: string): ReadValue {
  if (field.enum !== undefined) return readChoice(field.enum, text);
  if (field.scalar === ScalarType.BOOL) return { value: text !== "false" && text !== "0" };
  if (field.scalar === ScalarType.UINT32) return readNumber(text, settingOf(field).least);
  return readText(text, settingOf(field).form);
}

/** The words of an enum: its values without their common prefix, in lower case. */
export function choicesOf(desc: DescEnum): ReadonlyMap<string, number> {
  const prefix = desc.sharedPrefix?.length ?? 0;
  return new Map(
    desc.values
      .filter(({ number }) => number !== 0)
      .map(({ name, number }) => [name.slice(prefix).toLowerCase(), number]),
  );
}

function readChoice(desc: DescEnum, text: string): ReadValue {
  const choices = choicesOf(desc);
  const value = choices.get(text);
  if (value !== undefined) return { value };
  return { problem: `is ${JSON.stringify(text)}; allowed are ${[...choices.keys()].join(", ")}` };
}

function readNumber(text: string, least: number): ReadValue {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least) return { value };
  return { problem: `is ${JSON.stringify(text)}; write a whole number from ${least} to ${MAX_NUMBER}` };
}

function readText(text: string, form: Form): ReadValue {
  if (text === "") return { problem: "is empty" };
  if (/[\0-\x1f\x7f]/.test(text)) return { problem: "has a control character in it" };
  switch (form) {
    case Form.ADDRESS:
      if (parseAddress(text) !== undefined) break;
      return { problem: `is ${JSON.stringify(text)}; write HOST:PORT, such as 127.0.0.1:5555 or [::1]:5555` };
    case Form.ORIGIN:
      if (URL.parse(text)?.origin === text) break;
      return { problem: `is ${JSON.stringify(text)}; write an origin, such as https://panel.example.com` };
    case Form.SUBJECT:
      if (/^(?:CN=|\w[\w ]*:)./.test(text)) break;
      return { problem: `is ${JSON.stringify(text)}; write CN=NAME or DNS:NAME` };
    case Form.PASSWORD:
      return readPassword(text);
    default:
  }
  return { value: text };
}

/** The password is not repeated in the problem. */
function readPassword(text: string): ReadValue {
  if (!/^\$[\w-]+\$/.test(text)) return { value: text };
  const hash = parseShaCrypt(text);
  if (hash === undefined) return { problem: "is a hash of another kind than $5$ and $6$" };
  if (hash.rounds > MAX_ROUNDS) return { problem: `has more than ${MAX_ROUNDS} rounds` };
  return { value: text };
}
