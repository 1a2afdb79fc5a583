/** From a registration to the first request served, beside an ideal loop, with one service. */

import type { Bench } from "../scripts/bench/bench.ts";
import { compareWithIdeal } from "./propagation/compare.ts";

const propagation: Bench = (context) => compareWithIdeal(context, { services: 1, rounds: 300 });

export default propagation;
