import type { HttpCheckRequest } from "../../../gen/haplane/config/v1/check_pb.js";
import type { LineForm } from "../line-form.ts";

/**
 * `option httpchk`: no words, a URI, or a method, a URI and perhaps a version and a host. By hand, because one word is a URI while the first of
 * two is a method.
 */
export const httpchk: LineForm = {
  message: "haplane.config.v1.HttpCheckRequest",
  read(fields, words, from) {
    const message = fields as unknown as HttpCheckRequest;
    const values = words.slice(from).map((word) => word.value);
    if (values.length > 4 || values.includes("")) return false;
    if (values.length === 1) message.uri = values[0]!;
    if (values.length < 2) return true;
    message.method = values[0]!;
    message.uri = values[1]!;
    if (values[2] !== undefined) message.version = values[2];
    if (values[3] !== undefined) message.host = values[3];
    return true;
  },
  write(fields) {
    const { method, uri, version, host } = fields as unknown as HttpCheckRequest;
    if (host !== undefined) return [method ?? "OPTIONS", uri ?? "/", version ?? "HTTP/1.0", host];
    if (version !== undefined) return [method ?? "OPTIONS", uri ?? "/", version];
    if (method !== undefined) return [method, uri ?? "/"];
    return uri === undefined ? [] : [uri];
  },
};
