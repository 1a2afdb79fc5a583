import { scriptedHaproxy } from "../support/scripted-factory.ts";
import { commitSuite } from "./commit-suite.ts";

commitSuite("a scripted HAProxy", scriptedHaproxy);
