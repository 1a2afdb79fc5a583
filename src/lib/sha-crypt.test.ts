import assert from "node:assert/strict";
import { test } from "node:test";
import { parseShaCrypt, verifyShaCrypt } from "./sha-crypt.ts";

const LONG =
  "a much longer password than the digest of sha512 has bytes, so that it is stretched more than once over";

/** What crypt(3) of glibc makes of passwords. */
const HASHES: readonly (readonly [password: string, hash: string])[] = [
  ["secret", "$5$somesalt$BY2M0Tw/b.yijagFoMZoeHEQSuk9iqvGNX/dBDdRp8A"],
  ["", "$5$somesalt$VEluwW9z3v1YrQJtm0xCd0ed6jf2xIWm1NRbLfj3si7"],
  ["päßwort", "$5$somesalt$0R4RFvtiEVBo9VBVhG0USW5QTmpX8ft8IqOIegkHp17"],
  [LONG, "$5$somesalt$ZRnJIXhFmw7Bw4/D8mkfDIzXHeCtIQBkiQ0gjEwTr7/"],
  [
    "secret",
    "$6$somesalt$JX0Uhce8rLRHbaqoSQDYsnTxsqcjCNNcrl79ieTwPGzEhxBEeJcsgDUWIOwc3sDvZN34ZJBWQep7.lcAuSesy/",
  ],
  ["", "$6$somesalt$ifD8K2Zt9T/fCo9K34WhECXXxefSOfOeJO4dV0wf7rcY8sOiZsZhbO3ZjS2g.kqSzJIWKa5ZEFOb5W0agDM5c0"],
  [
    "päßwort",
    "$6$somesalt$DdGJnKaxWCVqEEiWDVqT9UPAjy5fT4sjhFsPyuLnkfXetlv5qfAfLZhZrI9.xlRD4F/9Swfpkj4jtQsqb0Bwk0",
  ],
  [
    LONG,
    "$6$somesalt$SBrDQjlPKzYlUhLNgENRcfk4yInBpWRszSjO1uHLemi4wa81xEWe6n1OvQA1wQs2OQVsHo.MZ7/y8BDFJVREL0",
  ],
  ["secret", "$5$rounds=1400$anotherlongsalts$hA9phAhHgeqcKTycY/LRKamQM18d5P2uD0VRrWGWMX6"],
  ["", "$5$rounds=1400$anotherlongsalts$7IcTVudmZDHdXM3GIn4KAxA5tvn.eciiARdqRBeqNs/"],
  ["päßwort", "$5$rounds=1400$anotherlongsalts$k6v7ysHBMgpVZU.sdZKE9VlWfmzHTeUEjTl0uzv4XV0"],
  [LONG, "$5$rounds=1400$anotherlongsalts$EX/OVPtFZZaudqEXWLom4l8SO4Nhge2hvMGrRYvPl58"],
  [
    "secret",
    "$6$rounds=1234$s$nC.aGdNj2Ovxcdm/U0kIkZMaL95E8bwJuAl47m9ZO2odcxwhdB0TKBq.Gr.C.8chGUCTQoghwgCC4JQVvEWI61",
  ],
  [
    "",
    "$6$rounds=1234$s$0BJuOkjoup7KKHKyXMjb9Omtg4vrY2qQGWtT4tYIniD8HT1Ogi7jMOofrYirmaH1fTnoDWU0kcfrIOR18.TLJ.",
  ],
  [
    "päßwort",
    "$6$rounds=1234$s$NlbRwfXEKTUiD64YfcWj2rGnDsupcjCZ88OTcaSPtniZuheL0imTO573WI6yFgKmXEBu8n3CSDEr.XnewilKC0",
  ],
  [
    LONG,
    "$6$rounds=1234$s$K3EGgVLM7N2/DvhmAazwuJl2izEQVZd5b/6ljJ/v.3yj0HJZrwH87wNsMJL9kVRHSwitV9IdHpkwzdLKIY5tD1",
  ],
];

for (const [password, hash] of HASHES) {
  test(`${hash.slice(0, 30)}… is the hash of ${JSON.stringify(password.slice(0, 20))} and of nothing else`, () => {
    const parsed = parseShaCrypt(hash)!;
    assert.equal(verifyShaCrypt(password, parsed), true);
    assert.equal(verifyShaCrypt(`${password}x`, parsed), false);
  });
}

test("what is no such hash is none", () => {
  for (const text of [
    "",
    "secret",
    "$1$salt$abc",
    "$6$salt",
    "$6$salt$",
    "$7$salt$abc",
    "$6$rounds=x$salt$a",
    "$6$a$b$c",
  ])
    assert.equal(parseShaCrypt(text), undefined, text);
});
