import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/**
 * An answer that is encoded at most once, however many streams carry it. Binary transports write its bytes as they are;
 * JSON needs the message. Whichever of the two is missing is made when first asked for, and kept.
 */
export class Encoded<Desc extends DescMessage = DescMessage> {
  readonly schema: Desc;
  // One of the two is always there.
  #message: MessageShape<Desc> | undefined;
  #bytes: Uint8Array | undefined;

  private constructor(schema: Desc, message: MessageShape<Desc> | undefined, bytes: Uint8Array | undefined) {
    this.schema = schema;
    this.#message = message;
    this.#bytes = bytes;
  }

  /** From a message, which must not change any more. */
  static ofMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Encoded<Desc> {
    return new Encoded(schema, message, undefined);
  }

  /** From the wire form of a message; it is trusted to be one. */
  static ofBytes<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): Encoded<Desc> {
    return new Encoded(schema, undefined, bytes);
  }

  /** The message. Do not change it: others may be sending it. */
  get message(): MessageShape<Desc> {
    this.#message ??= fromBinary(this.schema, this.#bytes as Uint8Array);
    return this.#message;
  }

  /** The message in the protobuf wire format, without a frame. */
  get bytes(): Uint8Array {
    this.#bytes ??= toBinary(this.schema, this.#message as MessageShape<Desc>);
    return this.#bytes;
  }
}
