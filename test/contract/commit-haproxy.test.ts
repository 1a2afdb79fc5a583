import { realHaproxy } from "../support/real-factory.ts";
import { commitSuite } from "./commit-suite.ts";

commitSuite("the real HAProxy", realHaproxy);
