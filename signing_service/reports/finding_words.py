"""Every code of errors, warnings and info in a report, and what it says in each language.

The codes are for programs and stay as they are; their messages, in English, say which file, time or
algorithm. `docs/finding-codes.md` is made from this list.
"""

# ruff: noqa: E501 - a table is read by its rows.

from collections.abc import Mapping

LANGUAGES = ("en", "az", "ka")

FINDINGS: Mapping[str, tuple[str, str, str]] = {
    "asic-manifest": ("A manifest of the container is broken", "Konteynerin manifesti pozulub", "კონტეინერის მანიფესტი დარღვეულია"),
    "asic-mimetype": ("The container does not say what it is", "Konteyner öz növünü bildirmir", "კონტეინერი თავის სახეს არ უთითებს"),
    "asic-mimetype-place": ("The container's type stands in the wrong place", "Konteynerin növü lazımi yerdə deyil", "კონტეინერის სახე არასწორ ადგილასაა"),
    "asic-no-files": ("The container has no documents", "Konteynerdə sənəd yoxdur", "კონტეინერში დოკუმენტი არ არის"),
    "asic-s-files": ("A container for one document has several", "Bir sənəd üçün konteynerdə bir neçə sənəd var", "ერთი დოკუმენტის კონტეინერში რამდენიმეა"),
    "attributes-as-content": ("What was signed could be taken for other data", "İmzalanmış məlumat başqa məlumat kimi oxuna bilər", "ხელმოწერილი შეიძლება სხვა მონაცემად წაიკითხონ"),
    "ber-malformed": ("The signature's bytes cannot be read", "İmzanın baytları oxunmur", "ხელმოწერის ბაიტები არ იკითხება"),
    "byte-range": ("The signature does not cover what it should of the PDF", "İmza PDF-in əhatə etməli olduğu hissəsini əhatə etmir", "ხელმოწერა PDF-ის საჭირო ნაწილს არ მოიცავს"),
    "bytes-behind-signature": ("Other bytes follow the signature", "İmzadan sonra başqa baytlar var", "ხელმოწერას სხვა ბაიტები მოსდევს"),
    "certificate-key-encoding": ("The certificate's key is written in an old, wrong way", "Sertifikatdakı açar köhnə, səhv üsulla yazılıb", "სერტიფიკატის გასაღები ძველი, მცდარი წესითაა ჩაწერილი"),
    "certificate-unreadable": ("The certificate cannot be read", "Sertifikat oxunmur", "სერტიფიკატი არ იკითხება"),
    "changed-after-signing": ("The document was changed after signing", "Sənəd imzalandıqdan sonra dəyişdirilib", "დოკუმენტი ხელმოწერის შემდეგ შეიცვალა"),
    "claimed-signing-time": ("The claimed signing time cannot be true", "Bildirilən imza vaxtı doğru ola bilməz", "გაცხადებული დრო სიმართლეს არ შეესაბამება"),
    "cms-format": ("The signature is not built as CMS demands", "İmza CMS-in tələb etdiyi kimi qurulmayıb", "ხელმოწერა CMS-ის წესით არ არის აგებული"),
    "cms-unsupported": ("An algorithm of the signature is not known here", "İmzanın alqoritmi burada məlum deyil", "ხელმოწერის ალგორითმი აქ უცნობია"),
    "commented-after-signing": ("Comments were added after signing", "İmzadan sonra şərhlər əlavə edilib", "ხელმოწერის შემდეგ შენიშვნები დაემატა"),
    "content-digest": ("The document is not what was signed", "Sənəd imzalanmış sənəd deyil", "დოკუმენტი არ არის ის, რასაც ხელი მოეწერა"),
    "content-type": ("The signature names another type of content", "İmza başqa növ məzmunu göstərir", "ხელმოწერა სხვა ტიპის შინაარსს ასახელებს"),
    "criteria-unknown": ("The trusted list has criteria that cannot be judged here", "Etibarlı siyahıda burada yoxlanıla bilməyən meyarlar var", "სანდო სიაში ისეთი კრიტერიუმებია, რომლებიც აქ ვერ ფასდება"),
    "der-malformed": ("The signature's bytes cannot be read", "İmzanın baytları oxunmur", "ხელმოწერის ბაიტები არ იკითხება"),
    "detached-not-used": ("A document handed in beside the signature is not what it signs", "Əlavə təqdim edilən sənəd bu imzaya aid deyil", "დამატებით წარდგენილ დოკუმენტს ეს ხელმოწერა არ ეხება"),
    "encapsulated-content": ("The signature holds other data than it covers", "İmzanın içində əhatə etdiyindən başqa məlumat var", "ხელმოწერაში სხვა მონაცემებია, ვიდრე ის მოიცავს"),
    "evidence-data-changed": ("What the evidence record is over was changed", "Sübut qeydinin aid olduğu məlumat dəyişdirilib", "მონაცემები, რომლებსაც ჩანაწერი ეხება, შეიცვალა"),
    "evidence-encoding": ("The signature around an evidence record is not in DER", "Sübut qeydini daşıyan imza DER-də deyil", "ჩანაწერის შემცველი ხელმოწერა DER-ში არ არის"),
    "evidence-data-missing": ("What the evidence record is over is not here", "Sübut qeydinin aid olduğu məlumat burada deyil", "მონაცემები, რომლებსაც ჩანაწერი ეხება, აქ არ არის"),
    "evidence-record-broken": ("The evidence record is broken", "Sübut qeydi pozulub", "მტკიცებულების ჩანაწერი დარღვეულია"),
    "evidence-record-format": ("The evidence record cannot be read", "Sübut qeydi oxunmur", "მტკიცებულების ჩანაწერი არ იკითხება"),
    "evidence-record-time-stamp": ("A time stamp of the evidence record proves nothing", "Sübut qeydinin vaxt möhürü heç nə sübut etmir", "ჩანაწერის დროის ნიშნული არაფერს ადასტურებს"),
    "file-not-covered": ("Files are not covered by the signature", "İmza bəzi faylları əhatə etmir", "ხელმოწერა ზოგ ფაილს არ მოიცავს"),
    "filled-in-after-signing": ("A form was filled in after signing", "Forma imzadan sonra doldurulub", "ფორმა ხელმოწერის შემდეგ შეივსო"),
    "hash-given": ("Only the hash of what was signed was handed in", "İmzalananın yalnız heşi təqdim edilib", "ხელმოწერილისა მხოლოდ ჰეშია წარდგენილი"),
    "invalid-input": ("The signature cannot be read", "İmza oxunmur", "ხელმოწერა არ იკითხება"),
    "invalidity-date": ("The key may have been in other hands before the signature", "Açar imzadan əvvəl başqasının əlində ola bilərdi", "გასაღები ხელმოწერამდე შესაძლოა სხვის ხელში იყო"),
    "key-usage": ("The certificate is not for signing documents", "Sertifikat sənəd imzalamaq üçün deyil", "სერტიფიკატი დოკუმენტების ხელმოსაწერად არ არის"),
    "limit-exceeded": ("The signature is over a limit", "İmza həddi aşır", "ხელმოწერა ზღვარს აჭარბებს"),
    "manifest-digest": ("A file is not what the manifest names", "Fayl manifestdə göstərilən fayl deyil", "ფაილი მანიფესტში დასახელებული არ არის"),
    "nested-container": ("A signed file is itself a container", "İmzalanmış faylın özü konteynerdir", "ხელმოწერილი ფაილი თავად კონტეინერია"),
    "nested-signature": ("The signed content is itself a signature", "İmzalanmış məzmunun özü imzadır", "ხელმოწერილი შინაარსი თავად ხელმოწერაა"),
    "no-qualified-device": ("The key is not said to be in a qualified device", "Açarın kvalifikasiyalı qurğuda olduğu bildirilmir", "არ არის მითითებული, რომ გასაღები კვალიფიციურ მოწყობილობაშია"),
    "no-trusted-list": ("Whether it is qualified was not judged: no trusted list", "Kvalifikasiya yoxlanılmayıb: etibarlı siyahı yoxdur", "კვალიფიციურობა არ შემოწმდა: სანდო სია არ არის"),
    "not-listed": ("No trusted list names the authority", "Mərkəz heç bir etibarlı siyahıda yoxdur", "ცენტრი არცერთ სანდო სიაში არ არის"),
    "not-qualified": ("The certificate is not qualified", "Sertifikat kvalifikasiyalı deyil", "სერტიფიკატი კვალიფიციური არ არის"),
    "not-qualified-enough": ("The policy demands a better qualified signature", "Siyasət daha yüksək kvalifikasiya tələb edir", "პოლიტიკა უფრო კვალიფიციურ ხელმოწერას მოითხოვს"),
    "nothing-covered": ("The signature covers nothing that is shown", "İmza göstərilən heç nəyi əhatə etmir", "ხელმოწერა ნაჩვენებიდან არაფერს მოიცავს"),
    "other-legislation": ("The certificate is qualified by another country's law", "Sertifikat başqa ölkənin qanununa görə kvalifikasiyalıdır", "სერტიფიკატი სხვა ქვეყნის კანონით არის კვალიფიციური"),
    "page-appearance-changed": ("Pages look different from what was signed", "Səhifələr imzalanandan fərqli görünür", "გვერდები სხვაგვარად გამოიყურება, ვიდრე ხელმოწერისას"),
    "page-appearance-same": ("Pages look as they did when signed", "Səhifələr imzalananda olduğu kimi görünür", "გვერდები ისე გამოიყურება, როგორც ხელმოწერისას"),
    "page-appearance-unknown": ("How the pages look could not be compared", "Səhifələrin görünüşü müqayisə edilə bilmədi", "გვერდების შედარება ვერ მოხერხდა"),
    "page-count-changed": ("The number of pages changed", "Səhifələrin sayı dəyişib", "გვერდების რაოდენობა შეიცვალა"),
    "partial-scope": ("Only parts of the document are signed", "Sənədin yalnız bir hissəsi imzalanıb", "დოკუმენტის მხოლოდ ნაწილია ხელმოწერილი"),
    "partial-selection": ("Only selected parts of the document are signed", "Sənədin yalnız seçilmiş hissələri imzalanıb", "დოკუმენტის მხოლოდ შერჩეული ნაწილებია ხელმოწერილი"),
    "purpose-changed": ("The list's word on the certificate's purpose changed", "Siyahıda sertifikatın təyinatı dəyişib", "სიაში სერტიფიკატის დანიშნულება შეიცვალა"),
    "purpose-not-listed": ("The authority is not listed for such certificates", "Mərkəz belə sertifikatlar üçün siyahıda deyil", "ცენტრი ასეთი სერტიფიკატებისთვის სიაში არ არის"),
    "purpose-unclear": ("Whether the certificate is for signatures or seals is unclear", "Sertifikatın imza, yoxsa möhür üçün olduğu aydın deyil", "გაურკვეველია, სერტიფიკატი ხელმოწერისთვისაა თუ შტამპისთვის"),
    "qualifiers-contradict": ("The trusted list contradicts itself", "Etibarlı siyahı özü ilə ziddiyyət təşkil edir", "სანდო სია საკუთარ თავს ეწინააღმდეგება"),
    "repaired-structure": ("The PDF's structure is damaged and was repaired for reading", "PDF-in strukturu zədələnib və oxumaq üçün bərpa edilib", "PDF-ის სტრუქტურა დაზიანებულია და წასაკითხად აღდგა"),
    "revoked-later": ("A certificate was revoked afterwards", "Sertifikat sonradan ləğv edilib", "სერტიფიკატი მოგვიანებით გაუქმდა"),
    "service-not-granted": ("The authority was not a granted service at that time", "Mərkəz həmin vaxt siyahıda təsdiqlənmiş xidmət deyildi", "ცენტრი იმ დროს დამტკიცებული სერვისი არ იყო"),
    "signature-value": ("The signature does not belong to the signer's key", "İmza imzalayanın açarına uyğun deyil", "ხელმოწერა ხელმომწერის გასაღებს არ შეესაბამება"),
    "signed-attributes-order": ("The signed attributes are in the wrong order", "İmzalanmış atributların sırası səhvdir", "ხელმოწერილი ატრიბუტების თანმიმდევრობა მცდარია"),
    "signed-data-missing": ("What was signed is not here", "İmzalanmış məlumat burada deyil", "ხელმოწერილი მონაცემები აქ არ არის"),
    "signed-properties": ("What the signature says of itself is not signed", "İmzanın özü haqqında dedikləri imzalanmayıb", "ხელმოწერის თვისებები ხელმოწერილი არ არის"),
    "signing-certificate-attribute": ("The signature does not say by which certificate it was made", "İmza hansı sertifikatla yaradıldığını bildirmir", "ხელმოწერა არ ამბობს, რომელი სერტიფიკატით შეიქმნა"),
    "signing-certificate-mismatch": ("The signature names another certificate", "İmza başqa sertifikatı göstərir", "ხელმოწერა სხვა სერტიფიკატს ასახელებს"),
    "signing-certificate-missing": ("The signer's certificate is not in the document", "İmzalayanın sertifikatı sənəddə yoxdur", "ხელმომწერის სერტიფიკატი დოკუმენტში არ არის"),
    "signing-certificate-number": ("The signature names the number or issuer of another certificate", "İmza başqa sertifikatın nömrəsini və ya vericisini göstərir", "ხელმოწერა მიუთითებს სხვა სერტიფიკატის ნომერს ან გამცემს"),
    "status-not-asked": ("Whether the certificate was revoked lately was not asked", "Sertifikatın son vaxtlar ləğv edilib-edilmədiyi soruşulmayıb", "არ შემოწმდა, ბოლო დროს სერტიფიკატი გაუქმდა თუ არა"),
    "subfilter": ("This kind of PDF signature is not in the standards", "Bu növ PDF imzası standartlarda yoxdur", "PDF ხელმოწერის ეს სახე სტანდარტებში არ არის"),
    "time-chosen": ("Judged as of a time that was asked for", "Soruşulan vaxt üçün yoxlanılıb", "შემოწმდა მოთხოვნილი დროისთვის"),
    "time-stamp": ("A time stamp could not be judged", "Vaxt möhürü yoxlanıla bilmədi", "დროის ნიშნულის შემოწმება ვერ მოხერხდა"),
    "time-stamp-binding": ("A time stamp does not name its certificate", "Vaxt möhürü öz sertifikatını göstərmir", "დროის ნიშნული თავის სერტიფიკატს არ ასახელებს"),
    "time-stamp-certificate": ("A time stamp's certificate is not for time-stamping", "Vaxt möhürünün sertifikatı bunun üçün deyil", "დროის ნიშნულის სერტიფიკატი ამისთვის არ არის"),
    "time-stamp-demanded": ("The policy demands a time stamp", "Siyasət vaxt möhürü tələb edir", "პოლიტიკა დროის ნიშნულს მოითხოვს"),
    "time-stamp-expired": ("A time stamp's certificate has ended", "Vaxt möhürünün sertifikatının müddəti bitib", "დროის ნიშნულის სერტიფიკატს ვადა გაუვიდა"),
    "time-stamp-future": ("A time stamp is from the future", "Vaxt möhürü gələcəkdəndir", "დროის ნიშნული მომავლიდანაა"),
    "time-stamp-order": ("The time stamps contradict each other", "Vaxt möhürləri bir-birinə ziddir", "დროის ნიშნულები ერთმანეთს ეწინააღმდეგება"),
    "time-stamp-path": ("A time stamp's certificate cannot be relied on", "Vaxt möhürünün sertifikatına etibar etmək olmur", "დროის ნიშნულის სერტიფიკატს ვერ დაეყრდნობით"),
    "time-stamp-references": ("What a time stamp covers cannot be told", "Vaxt möhürünün nəyi əhatə etdiyi bilinmir", "უცნობია, რას მოიცავს დროის ნიშნული"),
    "time-stamp-status-old": ("The status of a time stamp's certificate was not asked lately", "Vaxt möhürünün sertifikatının statusu köhnədir", "დროის ნიშნულის სერტიფიკატის სტატუსი ძველია"),
    "time-stamp-weak": ("A time stamp's algorithm or key is too weak", "Vaxt möhürünün alqoritmi və ya açarı zəifdir", "დროის ნიშნულის ალგორითმი ან გასაღები სუსტია"),
    "unsigned-comment": ("A comment that nobody signed splits a text", "İmzalanmamış şərh mətni bölür", "ხელმოუწერელი კომენტარი ტექსტს ყოფს"),
    "weak-algorithm": ("An algorithm or key is too weak", "Alqoritm və ya açar zəifdir", "ალგორითმი ან გასაღები სუსტია"),
    "xml-ambiguous-id": ("An identifier stands more than once in the XML", "XML-də identifikator təkrarlanır", "XML-ში იდენტიფიკატორი მეორდება"),
    "xml-reference-digest": ("A signed part of the XML was changed", "XML-in imzalanmış hissəsi dəyişdirilib", "XML-ის ხელმოწერილი ნაწილი შეიცვალა"),
    "xml-reference-not-found": ("A signed part of the XML is not here", "XML-in imzalanmış hissəsi burada deyil", "XML-ის ხელმოწერილი ნაწილი აქ არ არის"),
    "xml-reference-type": ("A reference leads to something of another kind", "İstinad başqa növ elementə aparır", "მითითება სხვა სახის ელემენტზე მიდის"),
    "xml-signature-format": ("The XML signature is not built as it should be", "XML imzası lazımi qaydada qurulmayıb", "XML ხელმოწერა წესისამებრ არ არის აგებული"),
    "xml-signature-unsupported": ("The XML signature uses something that is not supported", "XML imzasında dəstəklənməyən element var", "XML ხელმოწერა მხარდაუჭერელს იყენებს"),
    "xml-signature-value": ("The XML signature does not belong to the signer's key", "XML imzası imzalayanın açarına uyğun deyil", "XML ხელმოწერა გასაღებს არ შეესაბამება"),
    "xml-unknown-algorithm": ("An algorithm of the XML signature is not known here", "XML imzasının alqoritmi burada məlum deyil", "XML ხელმოწერის ალგორითმი აქ უცნობია"),
    "xml-unreadable": ("The XML cannot be read", "XML oxunmur", "XML არ იკითხება"),
    "xml-value-mismatch": ("The XML signature does not belong to the signer's key", "XML imzası imzalayanın açarına uyğun deyil", "XML ხელმოწერა გასაღებს არ შეესაბამება"),
}  # fmt: skip


def told(code: str, language: str) -> str | None:
    """What a code says in a language; None of a code that has no words here."""
    found = FINDINGS.get(code)
    return None if found is None else found[LANGUAGES.index(language)]


def table() -> str:
    """The codes as a page of the documentation."""
    rows = (f"| `{code}` | {' | '.join(words)} |" for code, words in sorted(FINDINGS.items()))
    head = (
        "# Codes of errors, warnings and info in validation reports\n\n"
        "Made by `python -m tests.support.finding_codes`. A code stays what it is; its message, in"
        " English, says\nwhich file, time or algorithm. A sub-indication of EN 319 102-1 in small"
        " letters with hyphens\n(`revoked-no-poe`) is a code too: what decided.\n\n"
        "| code | English | Azerbaijani | Georgian |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"
