import type { Bench } from "../scripts/bench/bench.ts";
import { measureText } from "./grammar/text.ts";

/** What it costs to read, edit and print configuration. */
const measure: Bench = async (context) => [...(await measureText(context))];

export default measure;
