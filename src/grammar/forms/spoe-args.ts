import { create } from "@bufbuild/protobuf";
import { type Argument, ArgumentSchema, type Arguments } from "../../../gen/haplane/spoe/v1/message_pb.js";
import type { LineForm } from "../line-form.ts";

/** `args` of a message: a word for each argument, `name=sample` or the sample alone. By hand, because a name is known by the `=` behind it. */
export const spoeArgs: LineForm = {
  message: "haplane.spoe.v1.Arguments",
  read(fields, words, from) {
    const message = fields as unknown as Arguments;
    message.arguments = words.slice(from).map(({ value }) => argumentOf(value));
    const written = message.arguments.map(wordOf);
    return (
      written.length > 0 &&
      written.every((word, index) => word === words[from + index]!.value) &&
      message.arguments.every(({ sample }) => sample !== "")
    );
  },
  write(fields) {
    const message = fields as unknown as Arguments;
    return message.arguments.map(wordOf);
  },
};

/** What stands before the first `=` is the name. */
function argumentOf(word: string): Argument {
  const end = word.indexOf("=");
  return create(ArgumentSchema, {
    sample: word.slice(end + 1),
    ...(end > 0 && { name: word.slice(0, end) }),
  });
}

/** A sample that holds a `=` needs one before it, or its beginning would be taken for a name. */
function wordOf({ name = "", sample }: Argument): string {
  return name === "" && !sample.includes("=") ? sample : `${name}=${sample}`;
}
