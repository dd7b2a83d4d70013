"""Defects of what is spoken, with whom, and to whom it is refused."""

from __future__ import annotations

from clawmates.proofs.result import Claim
from clawmates.trials.mutation import Change, Mutation

MUTATIONS = (
    Mutation(
        id="tls-1-2-between-services",
        what="our own servers and clients speak TLS 1.2 too",
        changes=tuple(
            Change(
                file="src/clawmates/base/tls.py",
                old=f"    context = ssl.SSLContext(ssl.PROTOCOL_TLS_{side})\n"
                "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n",
                new=f"    context = ssl.SSLContext(ssl.PROTOCOL_TLS_{side})\n"
                "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
            )
            for side in ("CLIENT", "SERVER")
        ),
        claim=Claim.TLS13,
    ),
    Mutation(
        id="peer-credentials-skipped",
        what="anybody may knock on a bot's door",
        changes=(
            Change(
                file="src/clawmates/gateway/door.py",
                old="        return self.spec.uid_first <= uid < self.spec.uid_first + self.spec.uid_count\n",
                new="        return uid >= 0\n",
            ),
        ),
        claim=Claim.TLS13,
        quick=True,
    ),
    Mutation(
        id="any-certificate",
        what="the mate believes whoever says that they are the messenger or the AI provider",
        changes=(
            Change(
                file="src/clawmates/mate/boot.py",
                old="        context = client_context()\n",
                new="        context = client_context(check_hostname=False)\n"
                "        context.verify_mode = ssl.CERT_NONE\n",
            ),
        ),
        claim=Claim.TLS13,
    ),
    Mutation(
        id="phone-home",
        what="the gateway calls somebody whom the owner did not choose, once a turn",
        changes=(
            Change(
                file="src/clawmates/gateway/door.py",
                old="    def _begin(self, begin: TurnBegin) -> Reply:\n",
                new="    def _begin(self, begin: TurnBegin) -> Reply:\n"
                '        home = __import__("socket").socket()\n'
                "        home.setblocking(False)\n"
                '        home.connect_ex(("11.8.8.8", 443))\n',
            ),
        ),
        claim=Claim.SELF_HOST,
    ),
    Mutation(
        id="asks-for-news",
        what="node asks the makers for news whenever it starts a bot",
        changes=(
            Change(
                file="src/clawmates/node/steps.py",
                old="        await self.open(order.door)\n        gid",
                new="        await self.open(order.door)\n"
                '        news = __import__("socket").socket()\n'
                "        news.setblocking(False)\n"
                '        news.connect_ex(("11.8.8.9", 443))\n'
                "        gid",
            ),
        ),
        claim=Claim.SELF_HOST,
    ),
    Mutation(
        id="a-name-too-many",
        what="the gateway looks up a name of the makers', once a turn, by the resolver that the owner chose",
        changes=(
            Change(
                file="src/clawmates/gateway/door.py",
                old="    def _begin(self, begin: TurnBegin) -> Reply:\n",
                new="    def _begin(self, begin: TurnBegin) -> Reply:\n"
                '        news = self._outside.resolver.lookup("news.clawmates.example")\n'
                "        self._news = asyncio.gather(news, return_exceptions=True)\n",
            ),
        ),
        claim=Claim.SELF_HOST,
    ),
    Mutation(
        id="tls-1-2-through-the-gateway",
        what="a server may select TLS 1.2, and the mate goes along",
        changes=(
            Change(
                file="src/clawmates/gateway/hello.py",
                old="    if hello.version != TLS_1_3:\n",
                new="    if hello.version not in {TLS_1_3, TLS_1_2}:\n",
            ),
            Change(
                file="src/clawmates/base/tls.py",
                old="    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
                "    context.minimum_version = ssl.TLSVersion.TLSv1_3\n",
                new="    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
                "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n",
            ),
        ),
        claim=Claim.TLS13,
    ),
    Mutation(
        id="calls-elsewhere",
        what="a mate also calls a host that nobody chose, and the gateway lets it",
        changes=(
            Change(
                file="src/clawmates/gateway/target.py",
                old="    if target.host != VAULT_HOST and target.host not in listed:\n",
                new="    if target.host != VAULT_HOST and not target.host:\n",
            ),
            Change(
                file="src/clawmates/mate/providers/call.py",
                old="    request = dialect.request(prompt)\n",
                new="    request = dialect.request(prompt)\n"
                "    with suppress(Exception):\n"
                '        await dialect.web.warm_up("api.anthropic.com")\n',
            ),
        ),
        claim=Claim.SELF_HOST,
    ),
)
