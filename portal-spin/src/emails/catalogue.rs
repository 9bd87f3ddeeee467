//! Every e-mail that the portal sends, in the product's own words. The operator may word each anew.

use super::texts::Text;

/// What every text may name.
pub(super) const PROGRAMME: (&str, &str) = ("programme", "Example partners");

/// Every text.
pub const TEXTS: &[Text] = &[
    Text {
        name: "verification",
        when: "Someone has registered.",
        subject: "{code} is your code for {programme}",
        body: "Your code is {code}. It is valid for 10 minutes.\n\n\
            Or open this link within 48 hours:\n{link}\n\n\
            If you did not register at {programme}, ignore this message: nothing happens without it.",
        variables: &[
            PROGRAMME,
            ("code", "271828"),
            ("link", "https://partners.example.com/verify?token=…"),
        ],
        needed: &["code", "link"],
    },
    Text {
        name: "account-exists",
        when: "Someone registers with an address that has an account.",
        subject: "You have an account at {programme}",
        body: "Someone, probably you, registered with this address. It has an account already.\n\n\
            Log in:\n{log_in_link}\n\nForgot the password? Choose a new one:\n{reset_link}\n\n\
            If it was not you, ignore this message.",
        variables: &[
            PROGRAMME,
            ("log_in_link", "https://partners.example.com/log-in"),
            ("reset_link", "https://partners.example.com/reset-password"),
        ],
        needed: &["log_in_link"],
    },
    Text {
        name: "password-reset",
        when: "Someone has forgotten their password.",
        subject: "Choose a new password for {programme}",
        body: "Open this link within one hour to choose a new password:\n{link}\n\n\
            If you did not ask for it, ignore this message: the password stays as it is.",
        variables: &[
            PROGRAMME,
            (
                "link",
                "https://partners.example.com/reset-password/new?token=…",
            ),
        ],
        needed: &["link"],
    },
    Text {
        name: "invitation",
        when: "An owner invites a colleague.",
        subject: "{inviter} invites you to {organisation}",
        body: "{inviter} ({inviter_email}) invites you to work on {organisation} in {programme} as {role}.\n\n\
            Open this link within 14 days:\n{link}",
        variables: &[
            PROGRAMME,
            ("inviter", "Ada Lovelace"),
            ("inviter_email", "ada@example.com"),
            ("organisation", "Acme"),
            ("role", "developer"),
            ("link", "https://partners.example.com/invitations?token=…"),
        ],
        needed: &["link"],
    },
    Text {
        name: "request-waiting",
        when: "A partner's request waits for the staff.",
        subject: "{organisation} asks {wish}",
        body: "{organisation} asks {wish} with the app {app}.\n\nAn answer is due by {due}.\n\n{link}",
        variables: &[
            PROGRAMME,
            ("organisation", "Acme"),
            ("wish", "to go live"),
            ("app", "Shop"),
            ("due", "2026-11-24 14:05 UTC"),
            (
                "link",
                "https://partners.example.com/operator/requests/req_…",
            ),
        ],
        needed: &["link"],
    },
    Text {
        name: "request-decided",
        when: "A person has decided a partner's request.",
        subject: "Your request {wish} was {outcome}",
        body: "Your request {wish} was {outcome}: {reason}\n\n{link}",
        variables: &[
            PROGRAMME,
            ("wish", "to go live"),
            ("outcome", "approved"),
            ("reason", "Welcome."),
            (
                "link",
                "https://partners.example.com/apps/app_…/subscriptions",
            ),
        ],
        needed: &["outcome", "reason"],
    },
    Text {
        name: "programme-invitation",
        when: "The staff invite a partner to the programme.",
        subject: "You are invited to {programme}",
        body: "{programme} invites you to become a partner. Your plan and access are prepared.\n\nOpen this link within 30 days:\n{link}",
        variables: &[
            PROGRAMME,
            ("link", "https://partners.example.com/join?token=…"),
        ],
        needed: &["link"],
    },
    Text {
        name: "address-change",
        when: "Someone gives their account another address.",
        subject: "Your new address at {programme}",
        body: "Open this link within one hour to use this address at {programme}:\n{link}\n\nIf you did not ask for it, ignore this message.",
        variables: &[
            PROGRAMME,
            ("link", "https://partners.example.com/account/email?token=…"),
        ],
        needed: &["link"],
    },
    Text {
        name: "address-taken",
        when: "Someone gives their account an address that has an account.",
        subject: "Your new address at {programme}",
        body: "Someone wanted to move an account of {programme} to this address, which has an account of its own. Nothing was changed.\n\nLog in to that account:\n{link}",
        variables: &[PROGRAMME, ("link", "https://partners.example.com/log-in")],
        needed: &[],
    },
    Text {
        name: "address-changed",
        when: "An account has moved to another address; to the old one.",
        subject: "Your address was changed",
        body: "Your account now uses {email}. If that was not you, reply to this message at once.",
        variables: &[PROGRAMME, ("email", "ada@example.com")],
        needed: &["email"],
    },
    Text {
        name: "passkey-changed",
        when: "A passkey was added or removed.",
        subject: "{change}",
        body: "{change}: {passkey}.\n\nIf that was not you, change your password and look at your passkeys:\n{link}",
        variables: &[
            PROGRAMME,
            ("change", "A passkey was added to your account"),
            ("passkey", "Laptop"),
            ("link", "https://partners.example.com/account/passkeys"),
        ],
        needed: &["change", "link"],
    },
    Text {
        name: "account-closed",
        when: "Someone has closed their account.",
        subject: "Your account at {programme} is closed",
        body: "Nobody can log in with it any more, and your address is free.\n\nKept are what you accepted for an organisation, the records of what you did, and invoices: they prove something to others. If it was not you, reply to this message at once.",
        variables: &[PROGRAMME],
        needed: &[],
    },
    Text {
        name: "organisation-closed",
        when: "An owner has closed an organisation.",
        subject: "{organisation} is closed",
        body: "Its apps are deleted, its credentials are refused and its subscriptions have ended.\n\nUsage until now is invoiced as ever. Invoices, acceptances and the audit log stay, and you can read them:\n{link}",
        variables: &[
            PROGRAMME,
            ("organisation", "Acme"),
            ("link", "https://partners.example.com/organisations/org_…"),
        ],
        needed: &["link"],
    },
    Text {
        name: "organisation-suspended",
        when: "The staff have suspended an organisation.",
        subject: "Live credentials are suspended",
        body: "Live credentials of {organisation} are refused from now on. Test credentials go on working.\n\nReason: {reason}\n\nWhere you stand:\n{link}",
        variables: &[
            PROGRAMME,
            ("organisation", "Acme"),
            ("reason", "Unpaid."),
            ("link", "https://partners.example.com/organisations/org_…"),
        ],
        needed: &["reason"],
    },
    Text {
        name: "organisation-released",
        when: "The staff have ended a suspension.",
        subject: "Live credentials work again",
        body: "Live credentials of {organisation} are accepted again.\n\n{link}",
        variables: &[
            PROGRAMME,
            ("organisation", "Acme"),
            ("link", "https://partners.example.com/organisations/org_…"),
        ],
        needed: &[],
    },
    Text {
        name: "access-changed",
        when: "The staff have changed what a type of partner may use.",
        subject: "What you may use has changed",
        body: "What your organisation may use in {programme} has changed:\n\n{changes}\n\nYour organisation:\n{link}",
        variables: &[
            PROGRAMME,
            ("changes", "Orders: open to your organisation."),
            ("link", "https://partners.example.com/organisations/org_…"),
        ],
        needed: &["changes"],
    },
    Text {
        name: "agreement-version",
        when: "An agreement has a new version, and as its day comes near.",
        subject: "{headline}",
        body: "{agreement} has a new version, {version}, in force from {effective}.\n\nRead and accept it before {required}; after that, live credentials are refused until it is accepted. Test credentials go on working.\n\n{link}",
        variables: &[
            PROGRAMME,
            ("headline", "New version of Terms of service"),
            ("agreement", "Terms of service"),
            ("version", "2026-11"),
            ("effective", "2026-11-24 00:00 UTC"),
            ("required", "2026-12-24 00:00 UTC"),
            (
                "link",
                "https://partners.example.com/organisations/org_…/agreements/agr_…",
            ),
        ],
        needed: &["required", "link"],
    },
    Text {
        name: "plan-version",
        when: "A plan has a new version that moves its subscribers.",
        subject: "The plan {plan} has a new version",
        body: "Your subscription is on the new version of the plan {plan} from {from}.\n\n{changes}\n\nIf it does not suit you, choose another plan or cancel:\n\n{link}",
        variables: &[
            PROGRAMME,
            ("plan", "Starter"),
            ("from", "2026-12-01 00:00 UTC"),
            (
                "changes",
                "Allowance: 1000 units a period becomes 2000 units a period.",
            ),
            (
                "link",
                "https://partners.example.com/apps/app_…/subscriptions",
            ),
        ],
        needed: &["from", "changes", "link"],
    },
    Text {
        name: "review-state",
        when: "A submitted app has moved on in its review.",
        subject: "{app} is now: {state}",
        body: "Version {version} of {app} is now: {state}.\n\n{comment}\n{evidence}\nRules: {rules}\n\n{link}",
        variables: &[
            PROGRAMME,
            ("app", "Shop"),
            ("version", "2"),
            ("state", "changes requested"),
            ("comment", "Say what the scope is for."),
            ("evidence", "The consent screen."),
            ("rules", "SCOPE-1"),
            ("link", "https://partners.example.com/submissions/smn_…"),
        ],
        needed: &["state", "comment", "link"],
    },
    Text {
        name: "review-message",
        when: "Reviewer or partner has written about a submitted app.",
        subject: "A message about {app}",
        body: "{message}\n\nAnswer it here:\n{link}",
        variables: &[
            PROGRAMME,
            ("app", "Shop"),
            ("message", "Which scope do you need for refunds?"),
            ("link", "https://partners.example.com/submissions/smn_…"),
        ],
        needed: &["message", "link"],
    },
    Text {
        name: "thread-message",
        when: "Partner or staff have written in a thread.",
        subject: "A message: {subject}",
        body: "{message}\n\nAnswer it here:\n{link}",
        variables: &[
            PROGRAMME,
            ("subject", "Refunds"),
            ("message", "Which call gives money back?"),
            ("link", "https://partners.example.com/threads/thr_…"),
        ],
        needed: &["message", "link"],
    },
    Text {
        name: "review-assigned",
        when: "A reviewer was handed a review.",
        subject: "You were handed {what}",
        body: "{by} handed you {what}, version {version}. An answer is due by {due}.\n\n{link}",
        variables: &[
            PROGRAMME,
            ("what", "the review of Shop"),
            ("by", "Ada Lovelace"),
            ("version", "2"),
            ("due", "2026-11-24 14:05 UTC"),
            (
                "link",
                "https://partners.example.com/operator/submissions/smn_…",
            ),
        ],
        needed: &["link"],
    },
    Text {
        name: "webhook-disabled",
        when: "A webhook endpoint failed for days and was disabled.",
        subject: "A webhook endpoint was disabled",
        body: "No events are sent to {url} any more.\n\n{reason}\n\nMend it and switch it on again: what was waiting is sent then.\n\n{link}",
        variables: &[
            PROGRAMME,
            ("url", "https://hooks.example.com/portico"),
            ("reason", "Nothing arrived for five days."),
            (
                "link",
                "https://partners.example.com/webhook-endpoints/whe_…",
            ),
        ],
        needed: &["url", "link"],
    },
    Text {
        name: "money",
        when: "Invoices, budgets, credit and payments; to those who pay.",
        subject: "{headline}",
        body: "{details}",
        variables: &[
            PROGRAMME,
            ("headline", "Invoice INV-7: 100.00 USD"),
            ("details", "100.00 USD are due by 2026-12-08 00:00 UTC."),
        ],
        needed: &["details"],
    },
    Text {
        name: "money-staff",
        when: "What finance must know: a failed payment, a run that stopped.",
        subject: "{headline}",
        body: "{details}",
        variables: &[
            PROGRAMME,
            ("headline", "A payment failed"),
            ("details", "The provider refused INV-7."),
        ],
        needed: &["details"],
    },
];
